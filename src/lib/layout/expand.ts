// SPDX-License-Identifier: Apache-2.0

/** A layout with the members that are there now in the place of `observe_members`. */
import { panesOf, splitOf, type Tree } from "./tree.ts";
import { type Layout, type Pane, shownOf, type Window } from "./types.ts";

export interface Member {
  /** `agent/scribe`. */
  readonly account: string;
  /** Name of its machine. */
  readonly machine: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ExpandedWindow {
  readonly name: string;
  /** Not empty. */
  readonly panes: readonly Pane[];
  /** Which window of the layout it is, or a part of. */
  readonly source: number;
}

/** More in one window is no look at each of them: they go on in further ones. */
export const MAX_PANES = 9;

export function matches(member: Member, labels: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(labels).every(([name, value]) => member.labels[name] === value);
}

/** Windows in which nothing is left to show are dropped. */
export function expandLayout(layout: Layout, members: readonly Member[]): ExpandedWindow[] {
  const sorted = members.toSorted((a, b) => a.account < b.account ? -1 : 1);
  return layout.windows.flatMap((window, source) => {
    const only = window.panes.length === 1 ? window.panes[0]! : null;
    if (only?.observe_members !== undefined && only.split === undefined) {
      return grids(window.name, source, found(only, sorted));
    }
    const panes = expandPanes(window, sorted);
    return panes.length === 0 ? [] : [{ name: window.name, panes, source }];
  });
}

function found(pane: Pane, members: readonly Member[]): Pane[] {
  return members.filter((member) => matches(member, pane.observe_members?.labels))
    .map(({ account }) => ({ observe: account }));
}

/** The first match stands where the pane would, the others beside it in equal parts. */
function expandPanes(window: Window, members: readonly Member[]): Pane[] {
  const made: Pane[] = [];
  /** Of each pane of the layout, the last one that it became, or of what stood before it. */
  const last: number[] = [];
  for (const [index, pane] of window.panes.entries()) {
    const shown = pane.observe_members === undefined ? [shownOf(pane)] : found(pane, members);
    const split = pane.split ?? "vertical";
    for (const [at, one] of shown.entries()) {
      const target = at > 0 || index === 0
        ? made.length - 1
        : last[splitOf(window.panes, index)] ?? made.length - 1;
      made.push({
        ...one,
        ...(made.length === 0 ? {} : { split }),
        ...(made.length === 0 || at > 0 || pane.size === undefined ? {} : { size: pane.size }),
        ...(made.length === 0 || target < 0 || target === made.length - 1 ? {} : { of: target }),
      });
    }
    const before = index === 0 ? -1 : last[splitOf(window.panes, index)] ?? -1;
    last.push(shown.length === 0 ? Math.max(before, 0) : made.length - 1);
  }
  return made;
}

function grids(name: string, source: number, shown: readonly Pane[]): ExpandedWindow[] {
  const pages = Math.ceil(shown.length / MAX_PANES);
  const each = Math.ceil(shown.length / Math.max(pages, 1));
  return Array.from({ length: pages }, (_, page) => ({
    name: page === 0 ? name : `${name} (${page + 1})`,
    panes: grid(shown.slice(page * each, (page + 1) * each)),
    source,
  }));
}

/** Rows of equal height, one above the other up to three, then up to three beside each other. */
export function grid(shown: readonly Pane[]): Pane[] {
  const columns = shown.length <= 3 ? 1 : shown.length <= 4 ? 2 : 3;
  const wide = Math.min(columns, shown.length <= 6 ? 2 : 3, shown.length);
  const rows: Tree<Pane>[] = [];
  for (let at = 0; at < shown.length; at += wide) {
    rows.push(sideBySide(shown.slice(at, at + wide)));
  }
  const tree: Tree<Pane> = rows.length === 1
    ? rows[0]!
    : { split: "vertical", parts: rows.map((cell) => ({ share: 1, cell })) };
  return panesOf(tree);
}

function sideBySide(shown: readonly Pane[]): Tree<Pane> {
  const cells = shown.map((pane): Tree<Pane> => ({ pane: { ...pane } }));
  if (cells.length === 1) return cells[0]!;
  return { split: "horizontal", parts: cells.map((cell) => ({ share: 1, cell })) };
}

/** What is shown of a room or a machine of which nobody wrote a layout. */
export function membersLayout(name: string): Layout {
  return { version: 1, windows: [{ name, panes: [{ observe_members: {} }] }] };
}

/** What is shown of everything: a window a machine. */
export function machinesLayout(members: readonly Member[]): Layout {
  const machines = [...new Set(members.map(({ machine }) => machine))].sort();
  return {
    version: 1,
    windows: machines.flatMap((name) => {
      const own = members.filter(({ machine }) => machine === name)
        .map(({ account }) => ({ observe: account }));
      return grids(name, 0, own.toSorted((a, b) => a.observe < b.observe ? -1 : 1))
        .map(({ name, panes }) => ({ name, panes: [...panes] }));
    }),
  };
}
