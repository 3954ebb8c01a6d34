// SPDX-License-Identifier: Apache-2.0

/** What comes from the session's client, made into the parts of the stream: harmless, whole characters. */
import { TerminalFilter } from "../lib/terminal/filter.ts";
import { neutraliseLine } from "../lib/terminal/neutralise.ts";

/** Longest title; what is longer is cut. */
const MAX_TITLE = 256;
const ESC = 0x1b;
const BEL = 0x07;

export interface SourceEvents {
  readonly onTitle: (title: { readonly alternate: boolean; readonly text: string }) => void;
}

export class Source {
  readonly #filter = new TerminalFilter();
  readonly #titles: TitleReader;
  /** Bytes of a character that is not complete. */
  #rest: Uint8Array = new Uint8Array();

  constructor({ onTitle }: SourceEvents) {
    this.#titles = new TitleReader((text) =>
      onTitle({ alternate: text.startsWith("1;"), text: neutraliseLine(text.slice(2)) })
    );
  }

  /** @returns what may be shown of it; may be empty */
  push(raw: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#titles.push(raw);
    let shown = this.#filter.push(raw);
    if (this.#rest.length > 0) {
      const joined = new Uint8Array(this.#rest.length + shown.length);
      joined.set(this.#rest);
      joined.set(shown, this.#rest.length);
      shown = joined;
    }
    const whole = wholeCharacters(shown);
    // A copy: the rest of the piece must not be held for it.
    this.#rest = shown.slice(whole);
    return shown.subarray(0, whole);
  }
}

/** Length without the UTF-8 character at the end of which only a part is there. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Reads the titles (OSC 0 and 2) that tmux sets, which the filter takes out. */
class TitleReader {
  readonly #onTitle: (text: string) => void;
  #state: "ground" | "escape" | "number" | "text" | "end" = "ground";
  #bytes: number[] = [];

  constructor(onTitle: (text: string) => void) {
    this.#onTitle = onTitle;
  }

  push(raw: Uint8Array): void {
    let from = 0;
    while (from < raw.length) {
      if (this.#state === "ground") {
        const escape = raw.indexOf(ESC, from);
        if (escape < 0) return;
        this.#state = "escape";
        from = escape + 1;
      } else this.#step(raw[from++]!);
    }
  }

  #step(byte: number): void {
    switch (this.#state) {
      case "escape":
        this.#bytes = [];
        this.#state = byte === 0x5d ? "number" : byte === ESC ? "escape" : "ground";
        return;
      case "number":
        if (byte === 0x3b) {
          const number = String.fromCharCode(...this.#bytes);
          this.#bytes = [];
          this.#state = number === "0" || number === "2" ? "text" : "ground";
        } else if (byte >= 0x30 && byte <= 0x39 && this.#bytes.length < 4) this.#bytes.push(byte);
        else this.#state = byte === ESC ? "escape" : "ground";
        return;
      case "text":
        if (byte === BEL) this.#told();
        else if (byte === ESC) this.#state = "end";
        else if (this.#bytes.length < MAX_TITLE) this.#bytes.push(byte);
        return;
      case "end":
        if (byte === 0x5c) this.#told();
        else this.#state = byte === 0x5d ? "number" : "ground";
        this.#bytes = [];
    }
  }

  #told(): void {
    this.#state = "ground";
    this.#onTitle(new TextDecoder().decode(Uint8Array.from(this.#bytes)));
    this.#bytes = [];
  }
}
