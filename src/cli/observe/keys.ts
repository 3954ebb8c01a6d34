// SPDX-License-Identifier: Apache-2.0

/** What a person types: for the agent, but for ctrl-] and the key after it. */

/** ctrl-], as telnet has it. */
const PREFIX = 0x1d;
const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** Of a mouse's report in SGR form, up to its end. */
// deno-lint-ignore no-control-regex
const PARTIAL_MOUSE = /\x1b\[<[\d;]*$/;
// deno-lint-ignore no-control-regex
const MOUSE = /\x1b\[<(\d+);(\d+);(\d+)([Mm])/g;
// deno-lint-ignore no-control-regex
const ARROW = /^\x1b[[O][A-D]/;

export type Action = "detach" | "take" | "release" | "help" | "up" | "down" | "left" | "right";

const ACTIONS: Readonly<Record<string, Action>> = {
  d: "detach",
  t: "take",
  r: "release",
  "?": "help",
  "\x1b[A": "up",
  "\x1b[B": "down",
  "\x1b[C": "right",
  "\x1b[D": "left",
  "\x1bOA": "up",
  "\x1bOB": "down",
  "\x1bOC": "right",
  "\x1bOD": "left",
};

export interface KeysOptions {
  /** What goes to the agent. */
  readonly type: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly act: (action: Action) => void;
  /** A place on this terminal, from 1, as one on the agent's; null: it is none of it. */
  readonly place: (x: number, y: number) => { readonly x: number; readonly y: number } | null;
}

export class Keys {
  readonly #options: KeysOptions;
  #prefixed = false;
  /** Within a bracketed paste nothing is a command. */
  #pasting = false;
  /** Of a report or a bracket that is not whole yet. */
  #held = "";

  constructor(options: KeysOptions) {
    this.#options = options;
  }

  feed(bytes: Uint8Array): void {
    // One character a byte: what is no command goes on as it came.
    let text = this.#held;
    this.#held = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    let out = "";
    const flush = () => {
      this.#send(out);
      out = "";
    };
    for (let at = 0; at < text.length; at++) {
      if (this.#prefixed) {
        const key = ARROW.exec(text.slice(at, at + 3))?.[0] ?? text[at]!;
        at += key.length - 1;
        this.#prefixed = false;
        if (key.charCodeAt(0) === PREFIX) out += key;
        else {
          flush();
          this.#options.act(ACTIONS[key] ?? "help");
        }
        continue;
      }
      if (text[at] === "\x1b") {
        if (text.startsWith(PASTE_BEGIN, at)) this.#pasting = true;
        else if (text.startsWith(PASTE_END, at)) this.#pasting = false;
      }
      if (!this.#pasting && text.charCodeAt(at) === PREFIX) this.#prefixed = true;
      else out += text[at];
    }
    const partial = PARTIAL_MOUSE.exec(out);
    if (partial !== null) {
      this.#held = partial[0];
      out = out.slice(0, partial.index);
    }
    flush();
  }

  #send(text: string): void {
    const placed = text.replaceAll(MOUSE, (_, button, x, y, end) => {
      const place = this.#options.place(Number(x), Number(y));
      return place === null ? "" : `\x1b[<${button};${place.x};${place.y}${end}`;
    });
    if (placed === "") return;
    this.#options.type(Uint8Array.from(placed, (char) => char.charCodeAt(0)));
  }
}
