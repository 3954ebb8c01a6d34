// SPDX-License-Identifier: Apache-2.0

/**
 * tmux's own text for a window's panes, e.g. `b25d,80x24,0,0{40x24,0,0,1,39x24,41,0,2}`: a checksum, then cells
 * `WxH,X,Y` with a pane's number, or with parts in `{}` (side by side) or `[]` (one above the other). Between
 * two parts is a line of one cell (tmux, layout-custom.c).
 */
import { LayoutError } from "./errors.ts";
import { isLeaf, type Tree } from "./tree.ts";

export interface Box {
  readonly cols: number;
  readonly rows: number;
}

const MAX_TEXT = 64 * 1024;
const MAX_DEPTH = 100;

/** Whether each pane of `tree` has at least one cell. */
export function fits<T>(tree: Tree<T>, box: Box): boolean {
  const least = leastOf(tree);
  return least.cols <= box.cols && least.rows <= box.rows;
}

function leastOf<T>(tree: Tree<T>): Box {
  if (isLeaf(tree)) return { cols: 1, rows: 1 };
  const parts = tree.parts.map(({ cell }) => leastOf(cell));
  const along = (side: "cols" | "rows") =>
    parts.reduce((sum, part) => sum + part[side], parts.length - 1);
  const across = (side: "cols" | "rows") => Math.max(...parts.map((part) => part[side]));
  return tree.split === "horizontal"
    ? { cols: along("cols"), rows: across("rows") }
    : { cols: across("cols"), rows: along("rows") };
}

/** @throws {LayoutError} `too-small` */
export function tmuxLayout(tree: Tree<number>, box: Box): string {
  if (!fits(tree, box)) {
    throw new LayoutError(
      "too-small",
      `Cannot show this layout: its panes don't fit into ${box.cols}x${box.rows}`,
    );
  }
  const text = cellText(tree, box, 0, 0);
  return `${checksum(text).toString(16).padStart(4, "0")},${text}`;
}

function cellText(tree: Tree<number>, box: Box, x: number, y: number): string {
  const own = `${box.cols}x${box.rows},${x},${y}`;
  if (isLeaf(tree)) return `${own},${tree.pane}`;
  const side = tree.split === "horizontal";
  const least = tree.parts.map(({ cell }) => leastOf(cell)[side ? "cols" : "rows"]);
  const shares = tree.parts.map(({ share }) => share);
  let at = side ? x : y;
  const parts = divided(side ? box.cols : box.rows, shares, least).map((extent, index) => {
    const cell = tree.parts[index]!.cell;
    const text = side
      ? cellText(cell, { cols: extent, rows: box.rows }, at, y)
      : cellText(cell, { cols: box.cols, rows: extent }, x, at);
    at += extent + 1;
    return text;
  });
  return side ? `${own}{${parts.join(",")}}` : `${own}[${parts.join(",")}]`;
}

/** `extent` cells in parts like `shares`, none below its least, with a line between two. */
function divided(extent: number, shares: readonly number[], least: readonly number[]): number[] {
  const sum = shares.reduce((total, share) => total + share, 0);
  let rest = extent - (shares.length - 1);
  let restShare = sum;
  let restLeast = least.reduce((total, one) => total + one, 0);
  return shares.map((share, at) => {
    restLeast -= least[at]!;
    const wanted = at === shares.length - 1 ? rest : Math.round(rest * share / restShare);
    const cells = Math.min(Math.max(wanted, least[at]!), rest - restLeast);
    rest -= cells;
    restShare -= share;
    return cells;
  });
}

export function checksum(text: string): number {
  let sum = 0;
  for (let at = 0; at < text.length; at++) {
    sum = (sum >> 1) + ((sum & 1) << 15);
    sum = (sum + text.charCodeAt(at)) & 0xffff;
  }
  return sum;
}

/**
 * Reads `#{window_layout}`; panes are the numbers in their ids.
 * @throws {LayoutError} `bad-geometry`
 */
export function parseTmuxLayout(text: string): { readonly tree: Tree<number>; readonly box: Box } {
  const bad = () => new LayoutError("bad-geometry", "Cannot read a window's layout from tmux");
  if (text.length > MAX_TEXT) throw bad();
  const body = text.slice(text.indexOf(",") + 1);
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray => {
    pattern.lastIndex = at;
    const found = pattern.exec(body);
    if (found === null) throw bad();
    at = pattern.lastIndex;
    return found;
  };
  const cell = (depth: number): { tree: Tree<number>; box: Box } => {
    if (depth > MAX_DEPTH) throw bad();
    const [, cols, rows] = take(/(\d{1,5})x(\d{1,5}),\d{1,5},\d{1,5}/gy);
    const box = { cols: Number(cols), rows: Number(rows) };
    const open = body[at];
    if (open !== "{" && open !== "[") {
      return { tree: { pane: Number(take(/,(\d{1,9})/gy)[1]) }, box };
    }
    at++;
    const side = open === "{";
    const parts = [];
    do {
      const part = cell(depth + 1);
      parts.push({ share: side ? part.box.cols : part.box.rows, cell: part.tree });
    } while (body[at] === "," && at++ >= 0);
    if (body[at++] !== (side ? "}" : "]") || parts.length < 2) throw bad();
    return { tree: { split: side ? "horizontal" : "vertical", parts }, box };
  };
  const whole = cell(0);
  if (at !== body.length) throw bad();
  return whole;
}
