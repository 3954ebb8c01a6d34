// SPDX-License-Identifier: Apache-2.0

/**
 * Agents that talk with one another. Who is asked is named first (`@ben: …`), and what it answers reaches who asked.
 * How long they may go on is counted in the room itself, back to the last word of a person: no program has to count
 * for that, and none can forget to.
 */
import type { Content, MatrixEvent } from "../../src/lib/matrix/types.ts";
import { parseEntity, parseUserId } from "../../src/lib/ref/mod.ts";

/** So many messages of programs to one another, then a person has to say something. */
export const CHAIN_LENGTH = 8;

/** Told to the model. */
export const HOW_TO_ASK =
  "Another agent in the room is asked by an answer that begins with its name and a colon, such as `@ben: …`; what it " +
  "answers comes to you as a message.";

/** Whether an account is an agent's, a service's or a machine's: of those, none is a person. */
export function isProgram(user: string): boolean {
  try {
    parseEntity(parseUserId(user).localpart);
    return true;
  } catch {
    return false;
  }
}

/** `@ben: …`, `@agent/ben …` or the whole id at the beginning. @returns which of `users` is meant */
export function calledFirst(text: string, users: readonly string[]): string | null {
  const name = /^@\S+/.exec(text.trimStart())?.[0];
  if (name === undefined) return null;
  const found = users.filter((user) =>
    [name, name.replace(/[:,]$/, "")].some((said) =>
      user === said || user.split(":")[0]!.endsWith(`/${said.slice(1)}`)
    )
  );
  return found.length === 1 ? found[0]! : null;
}

/** The one word that does not wait for its turn; where several listen, after a name. */
export const INTERRUPT = "!stop";
export const isInterrupt = (text: string): boolean =>
  text.trim().replace(/^@\S+\s+/, "") === INTERRUPT;

/** Whom a message is for; empty: for whoever listens. */
export function mentioned(content: Content): readonly string[] {
  const users = (content["m.mentions"] as Content | undefined)?.["user_ids"];
  return Array.isArray(users) ? users.filter((user) => typeof user === "string") : [];
}

/** How many messages of programs led to each of some messages, without a person's word between them. */
export class Chains {
  readonly #longest: number;
  readonly #counts = new Map<string, number>();
  #open = new Set<string>();

  constructor(longest: number) {
    this.#longest = longest;
  }

  /**
   * Called for each message of the room, the newest first.
   * @param isAsked whether it is one of those that are asked about
   */
  add({ event_id, sender, content }: MatrixEvent, isAsked: boolean): void {
    if (!isProgram(sender)) {
      if (content["msgtype"] === "m.text") this.#open.clear();
      return;
    }
    if (isAsked && event_id !== undefined) {
      this.#counts.set(event_id, 0);
      this.#open.add(event_id);
    }
    if (!isAsked && mentioned(content).length === 0) return;
    for (const id of this.#open) {
      const count = this.#counts.get(id)! + 1;
      this.#counts.set(id, count);
      if (count > this.#longest) this.#open.delete(id);
    }
  }

  /** Nothing older can change the answer. */
  get isKnown(): boolean {
    return this.#open.size === 0;
  }

  isTooLong(id: string): boolean {
    return (this.#counts.get(id) ?? 0) > this.#longest;
  }
}
