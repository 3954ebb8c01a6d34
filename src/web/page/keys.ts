// SPDX-License-Identifier: Apache-2.0

/** The keys that a phone's keyboard lacks. */
import { button, el } from "./dom.ts";

export interface Keys {
  readonly element: HTMLElement;
  show(on: boolean): void;
  /** What a typed text becomes while ctrl is held down here. */
  through(text: string): string;
}

const ARROWS: readonly (readonly [label: string, name: string, final: string])[] = [
  ["←", "Left", "D"],
  ["↓", "Down", "B"],
  ["↑", "Up", "A"],
  ["→", "Right", "C"],
];

/** @param applicationKeys whether the program asked for the arrows' other form */
export function keyRow(
  send: (text: string) => void,
  applicationKeys: () => boolean,
): Keys {
  let held = false;
  const ctrl = button("ctrl", () => hold(!held));
  ctrl.setAttribute("aria-pressed", "false");
  const hold = (on: boolean) => {
    held = on;
    ctrl.setAttribute("aria-pressed", String(on));
  };
  const key = (text: string, name: string, what: () => string) => {
    const one = button(text, () => send(what()));
    one.setAttribute("aria-label", name);
    return one;
  };
  const element = el(
    "div",
    { class: "keys", role: "toolbar", label: "Keys" },
    key("esc", "Escape", () => "\x1b"),
    key("tab", "Tab", () => "\t"),
    ctrl,
    ...ARROWS.map(([text, name, final]) =>
      key(text, name, () => `\x1b${applicationKeys() ? "O" : "["}${final}`)
    ),
    key("^C", "Control C", () => "\x03"),
    key("pgup", "Page up", () => "\x1b[5~"),
    key("pgdn", "Page down", () => "\x1b[6~"),
    key("⏎", "Enter", () => "\r"),
  );
  // A press must not take the focus from the terminal: the soft keyboard would go away.
  element.addEventListener("pointerdown", (event) => event.preventDefault());
  return {
    element,
    show: (on) => {
      element.classList.toggle("on", on);
      if (!on) hold(false);
    },
    through: (text) => {
      if (!held || text.length !== 1) return text;
      const code = text.toUpperCase().charCodeAt(0);
      hold(false);
      return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : text;
    },
  };
}
