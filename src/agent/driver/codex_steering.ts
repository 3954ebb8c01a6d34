// SPDX-License-Identifier: Apache-2.0

/** What is said to Codex while it works (`turn/steer`), until its agent has it or the turn is over. */
import type { Told } from "./program.ts";

type Answer = (result: Record<string, unknown>, error: string | null) => void;

export class Steering {
  readonly #ask: (method: string, params: unknown, answer: Answer) => void;
  readonly #told: Pick<Told, "steered">;
  /** By key, in order. */
  readonly #open = new Map<string, string>();
  #threadId = "";
  /** "": not known yet. */
  #turnId = "";

  constructor(
    ask: (method: string, params: unknown, answer: Answer) => void,
    told: Pick<Told, "steered">,
  ) {
    this.#ask = ask;
    this.#told = told;
  }

  add(text: string, key: string): void {
    this.#open.set(key, text);
    if (this.#turnId !== "") this.#give(text, key);
  }

  /** The turn goes on, and this is what it is called. */
  begun(threadId: string, turnId: string): void {
    this.#threadId = threadId;
    this.#turnId = turnId;
    for (const [key, text] of this.#open) this.#give(text, key);
  }

  /** It is part of the conversation. */
  taken(key: string): void {
    if (this.#open.delete(key)) this.#told.steered(key, "taken");
  }

  /** The turn is over: what its agent does not have by now, it does not get by it. */
  ended(): void {
    this.#turnId = "";
    for (const key of [...this.#open.keys()]) this.#refused(key);
  }

  #give(text: string, key: string): void {
    const params = {
      threadId: this.#threadId,
      expectedTurnId: this.#turnId,
      clientUserMessageId: key,
      input: [{ type: "text", text, text_elements: [] }],
    };
    this.#ask("turn/steer", params, (_, error) => {
      // A review, or a summary of the conversation, takes nothing.
      if (error !== null) this.#refused(key);
    });
  }

  #refused(key: string): void {
    if (this.#open.delete(key)) this.#told.steered(key, "refused");
  }
}
