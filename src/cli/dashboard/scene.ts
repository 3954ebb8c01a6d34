// SPDX-License-Identifier: Apache-2.0

/** What the dashboard's tmux shows, read from it. */
import {
  type Box,
  mapTree,
  type Pane,
  parseTmuxLayout,
  pruneTree,
  type Shown,
  shownOf,
  type Tree,
} from "../../lib/layout/mod.ts";
import type { TmuxControl } from "./control.ts";

/** Of the shell script that starts tmux. */
export const SESSION = "bureau";
const TARGET = `=${SESSION}:`;

/** In the place of a layout that shows nothing now. */
export const EMPTY: Shown = { role: "No agent is here yet." };

export interface ShownPane {
  /** `%3`. */
  readonly id: string;
  /** Null: not one of ours, a shell that the person opened. */
  readonly shown: Shown | null;
}

export interface ShownWindow {
  /** `@2`. */
  readonly id: string;
  readonly name: string;
  readonly box: Box;
  readonly tree: Tree<ShownPane>;
  /** Of our panes only; null: there are none. */
  readonly ours: Tree<ShownPane & { readonly shown: Shown }> | null;
}

/** A value in which no character means anything to tmux, and none ends a field. */
export function encodeShown(shown: Shown): string {
  return encodeURIComponent(JSON.stringify(shownOf(shown)));
}

function decodeShown(text: string): Shown | null {
  if (text === "") return null;
  try {
    return shownOf(JSON.parse(decodeURIComponent(text)) as Pane);
  } catch {
    return null;
  }
}

/** Windows in the order in which they stand. */
export async function readTmux(tmux: TmuxControl): Promise<ShownWindow[]> {
  const panes = new Map<number, ShownPane>();
  const paneLines = await tmux.run(
    ...["list-panes", "-s", "-t", TARGET, "-F", "#{pane_id} #{@bureau_pane}"],
  );
  for (const line of paneLines) {
    const [id, value] = line.split(" ");
    panes.set(Number(id!.slice(1)), { id: id!, shown: decodeShown(value ?? "") });
  }
  const windowLines = await tmux.run(
    ...["list-windows", "-t", TARGET, "-F"],
    "#{window_id} #{window_layout} #{window_name}",
  );
  return windowLines.flatMap((line): ShownWindow[] => {
    const [, id, layout, name] = /^(@\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (id === undefined) return [];
    const { tree: numbers, box } = parseTmuxLayout(layout!);
    // A pane that came between the two looks is seen by the next one.
    const tree = mapTree(
      numbers,
      (number) => panes.get(number) ?? { id: `%${number}`, shown: null },
    );
    const ours = pruneTree(tree, ({ shown }) => shown !== null);
    return [{ id, name: name!, box, tree, ours: ours as ShownWindow["ours"] }];
  });
}
