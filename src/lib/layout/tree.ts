// SPDX-License-Identifier: Apache-2.0

/**
 * A window as a tree of rows and columns, as tmux itself has it, and as the list of splits that makes it, as
 * `m.bureau.layout` has it: pane 0 has the whole window; each further one takes a part of one before it.
 */
import type { Pane, Split } from "./types.ts";

export interface Leaf<T> {
  readonly pane: T;
}
export interface Branch<T> {
  /** `horizontal`: its parts stand side by side (tmux's `split-window -h`). */
  readonly split: Split;
  /** Two or more. Shares are of the whole, in any unit. */
  readonly parts: readonly { readonly share: number; readonly cell: Tree<T> }[];
}
export type Tree<T> = Leaf<T> | Branch<T>;

export const isLeaf = <T>(tree: Tree<T>): tree is Leaf<T> => "pane" in tree;

/** Panes from the left and the top, as tmux counts them. */
export function leaves<T>(tree: Tree<T>): T[] {
  return isLeaf(tree) ? [tree.pane] : tree.parts.flatMap(({ cell }) => leaves(cell));
}

export function mapTree<T, U>(tree: Tree<T>, map: (pane: T) => U): Tree<U> {
  if (isLeaf(tree)) return { pane: map(tree.pane) };
  return {
    split: tree.split,
    parts: tree.parts.map(({ share, cell }) => ({ share, cell: mapTree(cell, map) })),
  };
}

/** Without the panes that `keep` refuses: what stood beside one takes its place. Null: none is left. */
export function pruneTree<T>(tree: Tree<T>, keep: (pane: T) => boolean): Tree<T> | null {
  if (isLeaf(tree)) return keep(tree.pane) ? tree : null;
  const parts = tree.parts.flatMap(({ share, cell }) => {
    const rest = pruneTree(cell, keep);
    return rest === null ? [] : [{ share, cell: rest }];
  });
  if (parts.length === 0) return null;
  if (parts.length === 1) return parts[0]!.cell;
  // A part that became a branch of the same direction is one with this one.
  const flat = parts.flatMap(({ share, cell }) => {
    if (isLeaf(cell) || cell.split !== tree.split) return [{ share, cell }];
    const sum = cell.parts.reduce((total, part) => total + part.share, 0);
    return cell.parts.map((part) => ({ share: share * part.share / sum, cell: part.cell }));
  });
  return { split: tree.split, parts: flat };
}

interface Node<T> {
  share: number;
  pane?: T;
  split?: Split;
  parts?: Node<T>[];
  parent: Node<T> | null;
}

/** Which earlier pane is split: `of`, else the one before. */
export function splitOf(panes: readonly Pane[], at: number): number {
  const of = panes[at]!.of;
  return of === undefined || of >= at ? at - 1 : of;
}

/** Part of the split pane that pane `at` takes: its size, or equal parts within its run of such panes. */
export function partOf(panes: readonly Pane[], at: number): number {
  const size = panes[at]!.size;
  if (size !== undefined) return size / 100;
  const split = panes[at]!.split ?? "vertical";
  let run = 1;
  while (at + run < panes.length) {
    const next = panes[at + run]!;
    const chained = splitOf(panes, at + run) === at + run - 1;
    if (next.size !== undefined || (next.split ?? "vertical") !== split || !chained) break;
    run++;
  }
  return run / (run + 1);
}

/** @param panes at least one */
export function treeOf<T extends Pane>(panes: readonly T[]): Tree<T> {
  const made: Node<T>[] = [{ share: 1, pane: panes[0]!, parent: null }];
  let root = made[0]!;
  for (let at = 1; at < panes.length; at++) {
    const target = made[splitOf(panes, at)]!;
    const split = panes[at]!.split ?? "vertical";
    const part = partOf(panes, at);
    const fresh: Node<T> = { share: target.share * part, pane: panes[at]!, parent: target.parent };
    if (target.parent !== null && target.parent.split === split) {
      const siblings = target.parent.parts!;
      siblings.splice(siblings.indexOf(target) + 1, 0, fresh);
      target.share *= 1 - part;
    } else {
      const branch: Node<T> = { share: target.share, split, parts: [], parent: target.parent };
      if (target.parent === null) root = branch;
      else target.parent.parts![target.parent.parts!.indexOf(target)] = branch;
      Object.assign(target, { share: 1 - part, parent: branch });
      Object.assign(fresh, { share: part, parent: branch });
      branch.parts!.push(target, fresh);
    }
    made.push(fresh);
  }
  return frozen(root);
}

function frozen<T>(node: Node<T>): Tree<T> {
  if (node.parts === undefined) return { pane: node.pane! };
  return {
    split: node.split!,
    parts: node.parts.map((part) => ({ share: part.share, cell: frozen(part) })),
  };
}

/** The splits that make `tree`, sizes in whole percents. */
export function panesOf<T extends Pane>(tree: Tree<T>): Pane[] {
  const made: Pane[] = [];
  const make = (pane: T, where: { split: Split; of: number; size: number } | null): number => {
    const { split: _split, size: _size, of: _of, ...shown } = pane;
    made.push({
      ...shown,
      ...(where === null ? {} : {
        split: where.split,
        size: Math.min(99, Math.max(1, Math.round(where.size))),
        ...(where.of === made.length - 1 ? {} : { of: where.of }),
      }),
    });
    return made.length - 1;
  };
  /** `first`: the pane that has the whole of `cell` so far. */
  const divide = (cell: Tree<T>, first: number) => {
    if (isLeaf(cell)) return;
    const at = [first];
    let rest = cell.parts.reduce((total, { share }) => total + share, 0);
    for (const [index, part] of cell.parts.entries()) {
      if (index === 0) continue;
      const before = rest;
      rest -= cell.parts[index - 1]!.share;
      const where = { split: cell.split, of: at[index - 1]!, size: 100 * rest / before };
      at.push(make(leaves(part.cell)[0]!, where));
    }
    for (const [index, part] of cell.parts.entries()) divide(part.cell, at[index]!);
  };
  divide(tree, make(leaves(tree)[0]!, null));
  return made;
}

/** The same rows and columns with the same panes in them, whatever their sizes. */
export function sameShape<T>(a: Tree<T>, b: Tree<T>, same: (a: T, b: T) => boolean): boolean {
  if (isLeaf(a) || isLeaf(b)) return isLeaf(a) && isLeaf(b) && same(a.pane, b.pane);
  return a.split === b.split && a.parts.length === b.parts.length &&
    a.parts.every(({ cell }, at) => sameShape(cell, b.parts[at]!.cell, same));
}
