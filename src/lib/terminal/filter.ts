// SPDX-License-Identifier: Apache-2.0

/**
 * Lets through the terminal bytes that draw, and nothing that asks the terminal a question (its answer
 * would be typed into the watcher's shell or the agent), writes the clipboard, sets titles or links,
 * sends files, or reprograms keys. A list of what may pass: an unknown sequence is dropped.
 *
 * Grammar: ECMA-48 §5.4 and the parser of https://vt100.net/emu/dec_ansi_parser.
 */

const ESC = 0x1b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
/** C0 that move or ring: BEL BS HT LF VT FF CR SO SI. ENQ (0x05) makes terminals answer. */
const SAFE_C0 = new Set([0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]);

/** Longest sequence that is kept while it is incomplete, bytes; a longer one is dropped. */
const MAX_SEQUENCE = 256;

/** Finals of CSI sequences without prefix or intermediate: cursor, erase, scroll, attributes, tabs. */
const PLAIN_CSI = new Set([..."ABCDEFGHIJKLMPSTXZ@`abdefgmr"]);
/** `s` and `u` save and restore the cursor; with a prefix `u` is a keyboard query. */
const CURSOR_CSI = new Set([..."su"]);
/**
 * DEC private modes that may be set: application cursor keys, origin, wrap, blink, cursor, mouse
 * (1000-1006, 1015), focus, alternate screens, bracketed paste, synchronised output. All are undone by
 * `RESET_TERMINAL`. Not: 3 (resizes the window), 9001 and others that answer.
 */
const DEC_MODES = new Set(
  [1, 5, 6, 7, 12, 25, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1048, 1049, 2004, 2026]
    .map(String),
);
/** Insert mode and newline mode. */
const ANSI_MODES = new Set(["4", "20"]);

/**
 * Leaves every mode that the filter lets through; also shows the cursor and ends attributes. The cursor stays where
 * the alternate screen's end puts it: leaving origin mode and the scrolling region would take it home.
 */
export const RESET_TERMINAL =
  "\x1b[?1049l\x1b7\x1b[?6l\x1b[r\x1b8\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l" +
  "\x1b[?2004l\x1b[?2026l\x1b[?1l\x1b[?5l\x1b[?7h\x1b[?12l\x1b[?25h\x1b[4l\x1b[20l\x1b>\x1b(B\x0f\x1b[0m";

type State = "ground" | "escape" | "escape-intermediate" | "csi" | "string" | "string-escape";

export class TerminalFilter {
  #state: State = "ground";
  /** Bytes of the sequence so far, ESC first. */
  #sequence: number[] = [];
  #tooLong = false;
  /** The last byte was C2, which together with 80-9F is a C1 control in UTF-8. */
  #afterC2 = false;
  /** UTF-8 continuation bytes that may follow. */
  #continuation = 0;

  /** @returns the bytes that may be shown; an incomplete sequence waits for the next call */
  push(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    // A kept sequence goes out whole, so at most what waited comes on top.
    const out = new Uint8Array(bytes.length + this.#sequence.length + 1);
    let length = 0;
    const emit = (byte: number) => void (out[length++] = byte);
    for (const byte of bytes) this.#step(byte, emit);
    return out.subarray(0, length);
  }

  #step(byte: number, emit: (byte: number) => void): void {
    switch (this.#state) {
      case "ground":
        return this.#ground(byte, emit);
      case "escape":
        return this.#escape(byte, emit);
      case "escape-intermediate":
      case "csi":
        return this.#collect(byte, emit);
      case "string":
        if (byte === BEL || byte === CAN || byte === SUB) this.#state = "ground";
        else if (byte === ESC) this.#state = "string-escape";
        return;
      case "string-escape":
        // ESC \ ends the string; any other ESC begins a new sequence there, as terminals have it.
        if (byte === 0x5c) {
          this.#state = "ground";
          return;
        }
        this.#begin();
        return this.#escape(byte, emit);
    }
  }

  #ground(byte: number, emit: (byte: number) => void): void {
    if (this.#afterC2) {
      this.#afterC2 = false;
      // C1 as UTF-8: CSI, OSC, DCS and their like in one character. Dropped.
      if (byte >= 0x80 && byte <= 0x9f) return;
      if (byte >= 0xa0 && byte <= 0xbf) {
        emit(0xc2);
        emit(byte);
        return;
      }
    }
    if (this.#continuation > 0 && byte >= 0x80 && byte <= 0xbf) {
      this.#continuation--;
      emit(byte);
      return;
    }
    this.#continuation = 0;
    if (byte === ESC) return this.#begin();
    if (byte < 0x20) {
      if (SAFE_C0.has(byte)) emit(byte);
    } else if (byte < 0x7f) emit(byte);
    else if (byte === 0xc2) this.#afterC2 = true;
    else if (byte >= 0xc3 && byte <= 0xf4) {
      this.#continuation = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      emit(byte);
    }
    // Else DEL, a lone continuation byte (an 8-bit C1 control), or no UTF-8 at all: dropped.
  }

  #begin(): void {
    this.#state = "escape";
    this.#sequence = [ESC];
    this.#tooLong = false;
  }

  #escape(byte: number, emit: (byte: number) => void): void {
    if (byte === ESC) return this.#begin();
    if (byte === CAN || byte === SUB) return this.#end();
    if (byte < 0x20) {
      if (SAFE_C0.has(byte)) emit(byte);
      return;
    }
    const character = String.fromCharCode(byte);
    if (character === "[") {
      this.#sequence.push(byte);
      this.#state = "csi";
    } else if ("]PX^_k".includes(character)) {
      // OSC, DCS, SOS, PM, APC, and screen's title: nothing inside them is shown.
      this.#state = "string";
    } else if (byte <= 0x2f) {
      this.#sequence.push(byte);
      this.#state = "escape-intermediate";
    } else {
      // Save, restore, keypad, index, next line, tab, reverse index. Not Z (identify) or c (reset).
      if ("78=>DEHM".includes(character)) {
        emit(ESC);
        emit(byte);
      }
      this.#end();
    }
  }

  #collect(byte: number, emit: (byte: number) => void): void {
    if (byte === ESC) return this.#begin();
    if (byte === CAN || byte === SUB) return this.#end();
    if (byte < 0x20) {
      if (SAFE_C0.has(byte)) emit(byte);
      return;
    }
    if (byte >= 0x7f) return this.#end();
    if (this.#sequence.length < MAX_SEQUENCE) this.#sequence.push(byte);
    else this.#tooLong = true;
    const isFinal = this.#state === "csi" ? byte >= 0x40 : byte >= 0x30;
    if (!isFinal) return;
    const text = String.fromCharCode(...this.#sequence);
    const allowed = !this.#tooLong &&
      (this.#state === "csi" ? isAllowedCsi(text.slice(2)) : isAllowedEscape(text.slice(1)));
    if (allowed) { for (const part of this.#sequence) emit(part); }
    this.#end();
  }

  #end(): void {
    this.#state = "ground";
    this.#sequence = [];
  }
}

/** @param body everything after `ESC [` */
function isAllowedCsi(body: string): boolean {
  const match = /^([<=>?]?)([0-9:;]*)([ -/]*)([@-~])$/.exec(body);
  if (match === null) return false;
  const [, prefix, parameters, intermediate, final] = match as unknown as string[];
  if (intermediate === " " && final === "q") return prefix === "";
  if (intermediate === "!" && final === "p") return prefix === "" && parameters === "";
  if (intermediate !== "") return false;
  if (prefix === "") {
    if (PLAIN_CSI.has(final!)) return !(final === "T" && (parameters ?? "").includes(";"));
    if (CURSOR_CSI.has(final!)) return parameters === "";
  }
  if (final === "J" || final === "K") return prefix === "?";
  if (final === "h" || final === "l") {
    const known = prefix === "?" ? DEC_MODES : prefix === "" ? ANSI_MODES : null;
    return known !== null && parameters!.split(";").every((mode) => known.has(mode));
  }
  return false;
}

/** @param body everything after `ESC`: character sets only */
function isAllowedEscape(body: string): boolean {
  return /^[()*+][0AB]$/.test(body);
}
