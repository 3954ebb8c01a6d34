// SPDX-License-Identifier: Apache-2.0

/** What a person changed in tmux, as a layout. */
import {
  type ExpandedWindow,
  isLeaf,
  isWindowName,
  type Layout,
  leaves,
  mapTree,
  panesOf,
  sameShape,
  type Shown,
  shownKey,
  shownOf,
  type Tree,
} from "../../lib/layout/mod.ts";
import { EMPTY, type ShownPane, type ShownWindow } from "./scene.ts";

/** What was shown last, and what of it. */
export interface Baseline {
  readonly windows: readonly ShownWindow[];
  /** Of each window, by id, its part of `expanded`. */
  readonly sources: ReadonlyMap<string, ExpandedWindow>;
}

const samePane = (a: ShownPane, b: ShownPane) =>
  a.shown !== null && b.shown !== null && shownKey(a.shown) === shownKey(b.shown);

/** Whether a person sees another window than before. Another size of the terminal is none. */
function isOther(before: ShownWindow, now: ShownWindow): boolean {
  if (before.name !== now.name) return true;
  if (before.ours === null || now.ours === null) return before.ours !== now.ours;
  if (!sameShape<ShownPane>(before.ours, now.ours, samePane)) return true;
  const isResized = before.box.cols !== now.box.cols || before.box.rows !== now.box.rows;
  return !isResized && !sameShares(before.ours, now.ours);
}

function sameShares<T>(a: Tree<T>, b: Tree<T>): boolean {
  if (isLeaf(a) || isLeaf(b)) return true;
  return a.parts.every(({ share, cell }, at) =>
    share === b.parts[at]!.share && sameShares(cell, b.parts[at]!.cell)
  );
}

export interface Changed {
  readonly layout: Layout;
  /** What each window is called in it, by id. */
  readonly names: ReadonlyMap<string, string>;
}

/** @returns the layout that is shown now; null: it is the one that was */
export function changedLayout(
  layout: Layout,
  baseline: Baseline,
  now: readonly ShownWindow[],
): Changed | null {
  const ours = now.filter(({ ours }) => ours !== null && !isPlaceholder(ours));
  const before = baseline.windows.filter(({ id }) => baseline.sources.has(id));
  const touched = touchedSources(baseline, before, ours);
  if (touched === null) return null;
  const isWhole = ({ id }: ShownWindow) => {
    const source = baseline.sources.get(id)?.source;
    return source !== undefined && !touched.has(source);
  };
  const taken = new Set(ours.filter(isWhole).map(({ name }) => name));
  const names = new Map<string, string>();
  const windows: Layout["windows"] = [];
  const told = new Set<number>();
  for (const window of ours) {
    if (isWhole(window)) {
      // A window of members stays one while all that was made of it is as it was.
      const { source } = baseline.sources.get(window.id)!;
      if (!told.has(source)) windows.push(layout.windows[source]!);
      told.add(source);
      continue;
    }
    const name = freshName(window.name, taken);
    names.set(window.id, name);
    windows.push({ name, panes: panesOf(mapTree(window.ours!, ({ shown }) => shownOf(shown))) });
  }
  // Nobody is in them now, so nobody can have taken them away.
  for (const [at, window] of layout.windows.entries()) {
    const isShown = [...baseline.sources.values()].some(({ source }) => source === at);
    if (isShown || taken.has(window.name)) continue;
    windows.splice(Math.min(at, windows.length), 0, window);
  }
  return { layout: { ...layout, windows }, names };
}

/** Windows of the layout of which a part is not as it was; null: all is. */
function touchedSources(
  { sources }: Baseline,
  before: readonly ShownWindow[],
  now: readonly ShownWindow[],
): Set<number> | null {
  const touched = new Set<number>();
  let isChanged = false;
  for (const old of before) {
    const window = now.find(({ id }) => id === old.id);
    if (window !== undefined && !isOther(old, window)) continue;
    isChanged = true;
    touched.add(sources.get(old.id)!.source);
  }
  const known = (id: string) => before.some((old) => old.id === id);
  if (now.some(({ id }) => !known(id))) isChanged = true;
  const order = now.map(({ id }) => id).filter(known);
  const orderBefore = before.map(({ id }) => id).filter((id) => order.includes(id));
  if (order.some((id, at) => id !== orderBefore[at])) isChanged = true;
  return isChanged ? touched : null;
}

function isPlaceholder(tree: Tree<{ readonly shown: Shown }>): boolean {
  return isLeaf(tree) && shownKey(tree.pane.shown) === shownKey(EMPTY);
}

/** A name that a layout may have, and none of `taken`, to which it is added. */
function freshName(name: string, taken: Set<string>): string {
  const clean = name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\#]/gu, "").trim().slice(0, 56).trim();
  const good = isWindowName(clean) ? clean : "window";
  let unique = good;
  for (let n = 2; taken.has(unique); n++) unique = `${good} ${n}`;
  taken.add(unique);
  return unique;
}

/** Which part of what was asked for each window shows, by its name. */
export function sourcesOf(
  windows: readonly ShownWindow[],
  expanded: readonly ExpandedWindow[],
): Map<string, ExpandedWindow> {
  const sources = new Map<string, ExpandedWindow>();
  for (const { id, name, ours } of windows) {
    const found = expanded.find((window) => window.name === name);
    if (found !== undefined && ours !== null && leaves(ours).length > 0) sources.set(id, found);
  }
  return sources;
}
