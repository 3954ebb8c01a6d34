// SPDX-License-Identifier: Apache-2.0

/** Makes tmux show a layout, with as little disturbance as can be: a pane that shows what is wanted stays and is moved. */
import {
  type ExpandedWindow,
  fits,
  leaves,
  mapTree,
  type Shown,
  shownKey,
  tmuxLayout,
  treeOf,
} from "../../lib/layout/mod.ts";
import { literal, type TmuxControl, TmuxRefusal } from "./control.ts";
import { EMPTY, encodeShown, readTmux, SESSION, type ShownWindow } from "./scene.ts";

const TARGET = `=${SESSION}:`;
/** Where the shells go that a person opened beside the panes of a window. */
const LOCAL = "local";

export interface ApplyOptions {
  readonly tmux: TmuxControl;
  readonly wanted: readonly ExpandedWindow[];
  /** Names of the windows as they were shown last, by id: what a person renamed stays the same window. */
  readonly known: ReadonlyMap<string, string>;
  /** The program of a pane. */
  readonly command: (shown: Shown) => readonly string[];
}

/** @returns the windows that show `wanted`, in its order */
export async function applyLayout(options: ApplyOptions): Promise<string[]> {
  const wanted = options.wanted.length > 0
    ? options.wanted
    : [{ name: "bureau", panes: [EMPTY], source: -1 }];
  const change = new Change({ ...options, wanted }, await readTmux(options.tmux));
  return await change.make();
}

class Change {
  readonly #options: ApplyOptions;
  readonly #before: readonly ShownWindow[];
  /** Panes that are there, by what they show; taken out when they have a place. */
  readonly #pool = new Map<string, { id: string; window: string }[]>();
  /** Windows of ours that have no use yet. */
  readonly #free: Set<string>;
  /** Of each wanted window, the one that is to be it; null: one is made. */
  #ids: (string | null)[] = [];

  constructor(options: ApplyOptions, before: readonly ShownWindow[]) {
    this.#options = options;
    this.#before = before;
    this.#free = new Set(before.filter(({ ours }) => ours !== null).map(({ id }) => id));
    for (const window of before) {
      for (const { id, shown } of leaves(window.tree)) {
        if (shown === null) continue;
        const key = shownKey(shown);
        this.#pool.set(key, [...this.#pool.get(key) ?? [], { id, window: window.id }]);
      }
    }
  }

  #tmux(...words: string[]): Promise<string[]> {
    return this.#options.tmux.run(...words);
  }

  async make(): Promise<string[]> {
    const { wanted } = this.#options;
    // Before anything moves: whose window each one is, and which panes may stay in it.
    this.#ids = wanted.map(({ name }) => this.#claim(name));
    const kept = wanted.map((window, at) => this.#keep(window, this.#ids[at]!));
    const made: string[] = [];
    for (const [at, window] of wanted.entries()) {
      made.push(await this.#window(window, at, kept[at]!));
    }
    for (const pane of [...this.#pool.values()].flat()) {
      await this.#tmux("kill-pane", "-t", pane.id).catch(ignoreRefusal);
    }
    await this.#order(made);
    return made;
  }

  #claim(name: string): string | null {
    const same = [...this.#free].find((id) => this.#nameOf(id) === name);
    if (same !== undefined) this.#free.delete(same);
    return same ?? null;
  }

  #nameOf(id: string): string | undefined {
    return this.#options.known.get(id) ?? this.#before.find((window) => window.id === id)?.name;
  }

  #keep({ panes }: ExpandedWindow, window: string | null): (string | null)[] {
    return panes.map((pane) => this.#take(pane, (one) => one.window === window));
  }

  #take(shown: Shown, fits: (pane: { window: string }) => boolean): string | null {
    const pool = this.#pool.get(shownKey(shown)) ?? [];
    const at = pool.findIndex(fits);
    return at < 0 ? null : pool.splice(at, 1)[0]!.id;
  }

  /** @param kept of each pane of the layout, the one that is in this window already */
  async #window(
    window: ExpandedWindow,
    at: number,
    kept: readonly (string | null)[],
  ): Promise<string> {
    const { panes, name } = window;
    const ids = [...kept];
    // It may have lost its last pane to one before.
    const existing = (await this.#read()).some(({ id }) => id === this.#ids[at]);
    let id = existing ? this.#ids[at]! : null;
    if (id === null) [id, ids[0]] = await this.#begin(name, panes[0]!);
    this.#ids[at] = id;
    await this.#tmux("rename-window", "-t", id, "--", literal(name));
    for (const [at, pane] of panes.entries()) {
      if (ids[at] !== null) continue;
      const moved = this.#take(pane, () => true);
      ids[at] = moved === null ? await this.#split(id, pane) : await this.#join(id, moved);
    }
    await this.#evict(id, new Set(ids as string[]));
    await this.#arrange(id, window, ids as string[]);
    return id;
  }

  #read(): Promise<ShownWindow[]> {
    return readTmux(this.#options.tmux);
  }

  /** @returns a window with the first pane in it, and that one */
  async #begin(name: string, shown: Shown): Promise<[window: string, pane: string]> {
    const pane = this.#take(shown, () => true);
    if (pane === null) {
      const [line] = await this.#tmux(
        ...["new-window", "-d", "-P", "-F", "#{window_id} #{pane_id}", "-t", TARGET],
        ...["-n", literal(name), "--", ...this.#options.command(shown)],
      );
      const [window, id] = line!.split(" ") as [string, string];
      await this.#tag(id, shown);
      return [window, id];
    }
    const now = await this.#read();
    const place = now.find(({ tree }) => leaves(tree).some(({ id }) => id === pane))!;
    if (leaves(place.tree).length > 1) {
      const [window] = await this.#tmux(
        ...["break-pane", "-d", "-P", "-F", "#{window_id}", "-s", pane, "-t", TARGET],
      );
      return [window!, pane];
    }
    // Alone in its window: with it goes the window, whoever else was to have that.
    this.#free.delete(place.id);
    this.#ids = this.#ids.map((id) => id === place.id ? null : id);
    return [place.id, pane];
  }

  #tag(pane: string, shown: Shown): Promise<string[]> {
    return this.#tmux("set-option", "-p", "-t", pane, "@bureau_pane", encodeShown(shown));
  }

  async #split(window: string, shown: Shown): Promise<string> {
    const [id] = await this.#roomy(window, () =>
      this.#tmux(
        ...["split-window", "-d", "-P", "-F", "#{pane_id}", "-t", window, "--"],
        ...this.#options.command(shown),
      ));
    await this.#tag(id!, shown);
    return id!;
  }

  async #join(window: string, pane: string): Promise<string> {
    await this.#roomy(window, () => this.#tmux("join-pane", "-d", "-s", pane, "-t", window));
    return pane;
  }

  /** The pane that is split may be the smallest one. */
  async #roomy(window: string, act: () => Promise<string[]>): Promise<string[]> {
    try {
      return await act();
    } catch (thrown) {
      if (!(thrown instanceof TmuxRefusal) || thrown.code !== "refused") throw thrown;
      await this.#tmux("select-layout", "-t", window, "tiled");
      return await act();
    }
  }

  /** What is not wanted in this window: ours waits in the pool for its end; a person's shell gets a window. */
  async #evict(window: string, wanted: ReadonlySet<string>): Promise<void> {
    const now = (await this.#read()).find(({ id }) => id === window);
    for (const { id, shown } of now === undefined ? [] : leaves(now.tree)) {
      if (wanted.has(id)) continue;
      if (shown === null) {
        await this.#tmux("break-pane", "-d", "-s", id, "-n", LOCAL).catch(ignoreRefusal);
      } else if (!this.#isPooled(id)) {
        await this.#tmux("kill-pane", "-t", id).catch(ignoreRefusal);
      } else {
        // Another window may want it, and takes it from where it is then.
        await this.#tmux("break-pane", "-d", "-s", id).catch(ignoreRefusal);
      }
    }
  }

  #isPooled(id: string): boolean {
    return [...this.#pool.values()].some((list) => list.some((pane) => pane.id === id));
  }

  async #arrange(window: string, { panes }: ExpandedWindow, ids: readonly string[]): Promise<void> {
    const byPane = new Map(panes.map((pane, at) => [pane, ids[at]!]));
    const tree = mapTree(treeOf(panes), (pane) => byPane.get(pane)!);
    // select-layout deals its cells out to the panes as they stand: so they are put into that order.
    const now = (await this.#read()).find(({ id }) => id === window)!;
    const order = leaves(now.tree).map(({ id }) => id);
    for (const [at, id] of leaves(tree).entries()) {
      const other = order[at]!;
      if (other === id) continue;
      await this.#tmux("swap-pane", "-d", "-s", id, "-t", other);
      order[order.indexOf(id)] = other;
      order[at] = id;
    }
    const numbers = mapTree(tree, (id) => Number(id.slice(1)));
    // Where they don't fit, each has at least something.
    const layout = fits(numbers, now.box) ? tmuxLayout(numbers, now.box) : "tiled";
    await this.#tmux("select-layout", "-t", window, layout);
  }

  /** Ours first, in the order of the layout. */
  async #order(wanted: readonly string[]): Promise<void> {
    const order = (await this.#read()).map(({ id }) => id);
    for (const [at, id] of wanted.entries()) {
      const other = order[at]!;
      if (other === id) continue;
      await this.#tmux("swap-window", "-d", "-s", id, "-t", other);
      order[order.indexOf(id)] = other;
      order[at] = id;
    }
  }
}

/** It went away by itself meanwhile. */
function ignoreRefusal(thrown: unknown): string[] {
  if (thrown instanceof TmuxRefusal && thrown.code === "refused") return [];
  throw thrown;
}
