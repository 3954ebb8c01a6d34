// SPDX-License-Identifier: Apache-2.0

/** Keeps a layout in a room and a tmux the same, both ways. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import {
  equalLayouts,
  type ExpandedWindow,
  expandLayout,
  type Layout,
  type Member,
  type Shown,
} from "../../lib/layout/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { applyLayout } from "./apply.ts";
import { type Baseline, changedLayout, sourcesOf } from "./changes.ts";
import { literal, type TmuxControl } from "./control.ts";
import { readTmux, type ShownWindow } from "./scene.ts";

/** A change in tmux is one when nothing changed for so long: dragging a border is many. */
export const SETTLED_MS = 500;
const DEFAULT_PREFIX = "C-a";

export interface Wanted {
  readonly layout: Layout;
  readonly members: readonly Member[];
}

export interface SyncOptions {
  readonly tmux: TmuxControl;
  readonly command: (shown: Shown) => readonly string[];
  /** Reads what is wanted now. */
  readonly read: () => Promise<Wanted & { readonly problem: string | null }>;
  readonly publish: (layout: Layout) => Promise<void>;
  /** Told what went wrong; null: all is well. */
  readonly tell: (problem: string | null) => void;
  readonly clock?: Clock;
  readonly signal: AbortSignal;
}

/** Notifications after which the windows may not be what they were. */
const CHANGES = new Set([
  "layout-change",
  "window-add",
  "window-close",
  "unlinked-window-close",
  "window-renamed",
  "unlinked-window-renamed",
  "session-window-changed",
]);

export class LayoutSync {
  readonly #options: SyncOptions;
  readonly #clock: Clock;
  #layout: Layout | null = null;
  #members: readonly Member[] = [];
  #expanded: readonly ExpandedWindow[] = [];
  #baseline: Baseline = { windows: [], sources: new Map() };
  /** One thing at a time: what is being applied is no change of the person's. */
  #turn: Promise<void> = Promise.resolve();
  #settling: AbortController | null = null;

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** The room may say something else. Resolves when tmux shows it. */
  refresh(): Promise<void> {
    return this.#next(() => this.#pull());
  }

  /** tmux said something. */
  event(name: string): void {
    if (!CHANGES.has(name) || this.#options.signal.aborted) return;
    this.#settling?.abort();
    const settling = new AbortController();
    this.#settling = settling;
    const signal = AbortSignal.any([settling.signal, this.#options.signal]);
    this.#clock.sleep(SETTLED_MS, signal).then(() => this.#next(() => this.#push()), () => {});
  }

  #next(act: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      if (this.#options.signal.aborted) return;
      try {
        await act();
      } catch (thrown) {
        if (!this.#options.signal.aborted) this.#options.tell(neutraliseLine(messageOf(thrown)));
      }
    });
    return this.#turn;
  }

  async #pull(): Promise<void> {
    const { layout, members, problem } = await this.#options.read();
    this.#members = members;
    if (this.#layout === null || !equalLayouts(this.#layout, layout)) {
      // What others wrote is there already: what was moved here in the same moment gives way.
      await this.#apply(layout, expandLayout(layout, members));
    } else {
      // Else what the person has just moved would be put back.
      await this.#push();
      const expanded = expandLayout(this.#layout, members);
      if (JSON.stringify(expanded) !== JSON.stringify(this.#expanded)) {
        await this.#apply(this.#layout, expanded);
      }
    }
    this.#options.tell(problem);
  }

  async #apply(layout: Layout, expanded: readonly ExpandedWindow[]): Promise<void> {
    const { tmux, command } = this.#options;
    const prefix = layout.prefix ?? DEFAULT_PREFIX;
    if (prefix !== (this.#layout?.prefix ?? DEFAULT_PREFIX) || this.#layout === null) {
      await tmux.run("set-option", "-g", "prefix", prefix);
      await tmux.run("bind-key", prefix, "send-prefix");
    }
    const known = new Map(
      [...this.#baseline.sources].map(([id, { name }]) => [id, name] as const),
    );
    const ids = await applyLayout({ tmux, wanted: expanded, known, command });
    this.#layout = layout;
    // A name that a person gave meanwhile is a change, not what was made.
    const names = new Map(expanded.map(({ name }, at) => [ids[at], name]));
    const windows = (await readTmux(tmux))
      .map((window) => ({ ...window, name: names.get(window.id) ?? window.name }));
    this.#remember(windows, expanded);
  }

  #remember(windows: readonly ShownWindow[], expanded: readonly ExpandedWindow[]): void {
    this.#expanded = expanded;
    this.#baseline = { windows, sources: sourcesOf(windows, expanded) };
  }

  async #push(): Promise<void> {
    if (this.#layout === null) return;
    const now = await readTmux(this.#options.tmux);
    const changed = changedLayout(this.#layout, this.#baseline, now);
    if (changed === null) {
      // Other sizes of the same: the terminal's own changed.
      this.#baseline = { ...this.#baseline, windows: now };
      return;
    }
    await this.#options.publish(changed.layout);
    const named = now.map((window) => ({
      ...window,
      name: changed.names.get(window.id) ?? window.name,
    }));
    for (const [at, { id, name }] of named.entries()) {
      if (name === now[at]!.name) continue;
      await this.#options.tmux.run("rename-window", "-t", id, "--", literal(name));
    }
    this.#layout = changed.layout;
    // As it was when it was written: what changed since is another change.
    this.#remember(named, expandLayout(changed.layout, this.#members));
    this.#options.tell(null);
  }
}
