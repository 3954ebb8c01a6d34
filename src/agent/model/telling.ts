// SPDX-License-Identifier: Apache-2.0

/**
 * Tells an answer's pieces once, over several attempts at it: an attempt that begins with what was told
 * already goes on where the last one broke off; one that says something else is told after a `reset`.
 */
import type { Piece } from "./types.ts";

type Kind = "thinking" | "text";
const KINDS: readonly Kind[] = ["thinking", "text"];

export class Telling {
  readonly #onPiece: (piece: Piece) => void;
  readonly #told: Record<Kind, string> = { thinking: "", text: "" };
  /** How much of it this attempt said too. */
  readonly #said: Record<Kind, number> = { thinking: 0, text: 0 };
  /** Of this attempt. */
  chars = 0;

  constructor(onPiece: (piece: Piece) => void) {
    this.#onPiece = onPiece;
  }

  /** A new attempt. */
  begin(): void {
    this.chars = 0;
    for (const kind of KINDS) this.#said[kind] = 0;
  }

  tell(piece: Piece): void {
    if (piece.type === "reset") return;
    const { type: kind, text } = piece;
    this.chars += text.length;
    const known = this.#told[kind].length - this.#said[kind];
    if (known > 0 && !this.#told[kind].startsWith(text.slice(0, known), this.#said[kind])) {
      this.#begunAnew();
    }
    const fresh = text.slice(this.#told[kind].length - this.#said[kind]);
    this.#told[kind] += fresh;
    this.#said[kind] += text.length;
    if (fresh !== "") this.#onPiece({ type: kind, text: fresh });
  }

  /** The attempt is whole: what was told beyond it is void. */
  end(): void {
    if (KINDS.some((kind) => this.#told[kind].length > this.#said[kind])) this.#begunAnew();
  }

  /** Voids what was told, and tells what this attempt said so far. */
  #begunAnew(): void {
    this.#onPiece({ type: "reset" });
    for (const kind of KINDS) {
      const text = this.#told[kind].slice(0, this.#said[kind]);
      this.#told[kind] = text;
      if (text !== "") this.#onPiece({ type: kind, text });
    }
  }
}
