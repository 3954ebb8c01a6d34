// SPDX-License-Identifier: Apache-2.0
import { isLeaf, sameShape, type Tree, treeOf } from "./tree.ts";
import { type Layout, type Pane, shownKey, type Window } from "./types.ts";

/** Parts of the whole that two sizes may differ by: they are whole percents, of whole cells. */
const NEAR = 0.015;

/** Whether two layouts show the same in the same places. Who wrote them, and from where, does not count. */
export function equalLayouts(a: Layout, b: Layout): boolean {
  return (a.prefix ?? null) === (b.prefix ?? null) && a.windows.length === b.windows.length &&
    a.windows.every((window, at) => equalWindows(window, b.windows[at]!));
}

export function equalWindows(a: Window, b: Window): boolean {
  if (a.name !== b.name || a.panes.length !== b.panes.length) return false;
  if (a.panes.length === 0) return true;
  const [one, other] = [treeOf(a.panes), treeOf(b.panes)];
  return sameShape(one, other, samePane) && nearShares(one, other);
}

function samePane(a: Pane, b: Pane): boolean {
  return shownKey(a) === shownKey(b) && membersKey(a) === membersKey(b);
}

function membersKey({ observe_members: members }: Pane): string {
  return JSON.stringify(
    members === undefined ? null : Object.entries(members.labels ?? {}).sort(),
  );
}

function nearShares<T>(a: Tree<T>, b: Tree<T>): boolean {
  if (isLeaf(a) || isLeaf(b)) return true;
  const [one, other] = [sharesOf(a.parts), sharesOf(b.parts)];
  return one.every((share, at) => Math.abs(share - other[at]!) <= NEAR) &&
    a.parts.every(({ cell }, at) => nearShares(cell, b.parts[at]!.cell));
}

function sharesOf(parts: readonly { readonly share: number }[]): number[] {
  const sum = parts.reduce((total, { share }) => total + share, 0);
  return parts.map(({ share }) => share / sum);
}
