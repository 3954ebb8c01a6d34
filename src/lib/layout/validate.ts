// SPDX-License-Identifier: Apache-2.0
import type { Layout, Pane } from "./types.ts";

export interface LayoutMistake {
  /** For example `windows[0].panes[2].size`. */
  readonly field: string;
  readonly message: string;
}

const MAX_WINDOWS = 50;
const MAX_WINDOW_PANES = 50;
const MAX_NAME = 64;
const MAX_WORDS = 1000;

/** tmux's name of a key: `C-a`, `M-x`, `F12`. */
const KEY =
  /^(?:[CMS]-){0,3}(?:[!-~]|F(?:[1-9]|1[0-2])|Space|Tab|Enter|Escape|BSpace|Insert|Delete|Home|End)$/;
/** Shown, and nothing in it that tmux reads as a format, or writes in another way than it was given. */
const NAME = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\#]+$/u;
const LINE = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;
const ACCOUNT = /^[a-z0-9_=-][a-z0-9._=/-]*$/;

/** What a schema can't say. @returns every mistake, in order */
export function validateLayout(layout: Layout): LayoutMistake[] {
  const mistakes: LayoutMistake[] = [];
  const add = (field: string, message: string) => mistakes.push({ field, message });
  if (layout.prefix !== undefined && !KEY.test(layout.prefix)) {
    add("prefix", "is no key of tmux, such as C-a");
  }
  if (layout.windows.length > MAX_WINDOWS) add("windows", `holds more than ${MAX_WINDOWS}`);
  const names = new Set<string>();
  for (const [at, window] of layout.windows.slice(0, MAX_WINDOWS).entries()) {
    const field = `windows[${at}]`;
    if (!isWindowName(window.name)) {
      add(`${field}.name`, `must be 1 to ${MAX_NAME} characters, without "#", "\\" and controls`);
    } else if (names.has(window.name)) add(`${field}.name`, "is the name of another window too");
    names.add(window.name);
    if (window.panes.length === 0) add(`${field}.panes`, "is empty");
    if (window.panes.length > MAX_WINDOW_PANES) {
      add(`${field}.panes`, `holds more than ${MAX_WINDOW_PANES}`);
    }
    for (const [index, pane] of window.panes.slice(0, MAX_WINDOW_PANES).entries()) {
      validatePane(pane, index, `${field}.panes[${index}]`, add);
    }
  }
  return mistakes;
}

export function isWindowName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name) && name.trim() === name;
}

function validatePane(
  pane: Pane,
  index: number,
  field: string,
  add: (field: string, message: string) => void,
): void {
  const kinds = (["observe", "command", "role", "observe_members"] as const)
    .filter((kind) => pane[kind] !== undefined);
  if (kinds.length !== 1) {
    add(field, "must have exactly one of observe, observe_members, command, role");
  }
  if (pane.observe !== undefined && (pane.observe.length > 84 || !ACCOUNT.test(pane.observe))) {
    add(`${field}.observe`, "is no name such as agent/scribe");
  }
  for (const kind of ["command", "role"] as const) {
    const text = pane[kind];
    if (text !== undefined && (text.length > MAX_WORDS || !LINE.test(text))) {
      add(`${field}.${kind}`, `must be one line of at most ${MAX_WORDS} characters`);
    }
  }
  if (index === 0 && pane.observe_members === undefined && pane.split !== undefined) {
    add(`${field}.split`, "has no meaning for the first pane, which has the whole window");
  }
  if (pane.size !== undefined && index === 0) {
    add(`${field}.size`, "has no meaning for the first pane, which has the whole window");
  }
  if (pane.of !== undefined && pane.of >= index) {
    add(`${field}.of`, "must be the number of an earlier pane, from 0");
  }
}
