// SPDX-License-Identifier: Apache-2.0

/**
 * What an agent says of itself: that it works, waits for a person, or has nothing to do. The daemon hears it over the
 * watch stream, the present word at once and later ones at most once a second.
 */
import { badRequest } from "./errors.ts";

export const SAID_STATES = ["working", "waiting", "idle"] as const;
export type SaidState = (typeof SAID_STATES)[number];

export interface Said {
  readonly state: SaidState;
  /** One line for people, of the agent's choosing. */
  readonly message: string | null;
  /** ms epoch, by the proxy's clock. */
  readonly at: number;
}

/** Longer ones are cut. */
const MAX_MESSAGE = 200;
const INTERVAL_MS = 1_000;

/** @throws {ProxyError} 400 */
export function parseSaid(json: Record<string, unknown>, at: number): Said {
  const { state, message } = json;
  const known = SAID_STATES.find((one) => one === state);
  if (known === undefined) throw badRequest(`"state" is none of ${SAID_STATES.join(", ")}`);
  if (message !== undefined && message !== null && typeof message !== "string") {
    throw badRequest('"message" is no text');
  }
  return { state: known, message: oneLine(message ?? ""), at };
}

function oneLine(text: string): string | null {
  // deno-lint-ignore no-control-regex -- control characters are what is taken out
  const plain = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").toWellFormed().trim();
  const points = [...plain];
  if (points.length > MAX_MESSAGE) return points.slice(0, MAX_MESSAGE - 1).join("") + "…";
  return plain === "" ? null : plain;
}

export class SaidAttention {
  #said: Said | null = null;
  #listener: ((said: Said) => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #told: Said | null = null;

  /** The newest word; null: it has said nothing since this proxy began. */
  get present(): Said | null {
    return this.#said;
  }

  say(said: Said): void {
    this.#said = said;
    this.#tellSoon();
  }

  /** One listener, the newest, which hears the present word at once. @returns the unsubscriber */
  listen(listener: (said: Said) => void): () => void {
    this.#stop();
    this.#listener = listener;
    this.#told = null;
    this.#tellSoon();
    return () => {
      if (this.#listener !== listener) return;
      this.#listener = null;
      this.#stop();
    };
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #tellSoon(): void {
    if (this.#listener === null || this.#timer !== null || this.#said === this.#told) return;
    this.#told = this.#said;
    this.#listener(this.#said!);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#tellSoon();
    }, INTERVAL_MS);
  }
}
