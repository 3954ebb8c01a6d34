// SPDX-License-Identifier: Apache-2.0

/** One types at a time, and everybody sees who: the lock on a session's keyboard. */
import type { ObserveDown, ObserveMode } from "./api.ts";
import type { Size } from "./frames.ts";

/** A watcher, as far as the keyboard is concerned. */
export interface Typist {
  readonly id: string;
  readonly who: string;
  readonly mode: ObserveMode;
  readonly size: Size;
  send(frame: ObserveDown): void;
}

export interface KeyboardEvents {
  /** Another has it, or nobody. */
  readonly onChange: (what: "types" | "released", typist: Typist) => void;
  /** The session is to have the size of who types. */
  readonly onSize: (size: Size) => void;
}

export class Keyboard {
  readonly #events: KeyboardEvents;
  #writer: Typist | null = null;
  /** Were told that another has it. */
  #told = new WeakSet<Typist>();

  constructor(events: KeyboardEvents) {
    this.#events = events;
  }

  /** `id` of who has it. */
  get writer(): string | null {
    return this.#writer?.id ?? null;
  }

  /** @returns whether what this one typed may go to the session */
  mayType(typist: Typist): boolean {
    if (typist.mode !== "readwrite") return false;
    if (this.#writer === null) this.take(typist);
    if (this.#writer === typist) return true;
    // Once: they will go on typing until they see it.
    if (!this.#told.has(typist)) {
      this.#told.add(typist);
      this.#tell(typist, `${this.#writer!.who} has the keyboard`);
    }
    return false;
  }

  take(typist: Typist): void {
    if (typist.mode !== "readwrite" || this.#writer === typist) return;
    const before = this.#writer;
    this.#writer = typist;
    this.#told = new WeakSet();
    if (before !== null) this.#tell(before, `${typist.who} took the keyboard`);
    this.#tell(typist, "you have the keyboard");
    this.#events.onChange("types", typist);
    this.#events.onSize(typist.size);
  }

  release(typist: Typist): void {
    if (this.#writer !== typist) return;
    this.#writer = null;
    this.#told = new WeakSet();
    this.#events.onChange("released", typist);
  }

  resized(typist: Typist): void {
    if (this.#writer === typist) this.#events.onSize(typist.size);
  }

  #tell(typist: Typist, reason: string): void {
    typist.send({ type: "mode", mode: typist.mode, writer: this.writer, reason });
  }
}
