// SPDX-License-Identifier: Apache-2.0

/**
 * Calls of workers that a person started (`bureau worker run --ask room`): nobody's principal, so the person's own
 * session asks for them. Who polls is there; who does not come back for a while is gone.
 */
import type {
  Answer,
  Approval,
  ApprovalRegistry,
  ApprovalRequest,
} from "../../lib/approval/mod.ts";
import { accountOf } from "../account.ts";

/** A user id: no localpart begins so. */
export const isPerson = (asker: string): boolean => asker.startsWith("@");

/** As people read it. */
export const askerName = (asker: string): string =>
  isPerson(asker) ? `a worker of ${asker}` : accountOf(asker);

export class WorkerCalls {
  readonly #registry: ApprovalRegistry;
  /** Requests that wait at the socket, by asker and key. */
  readonly #waiting = new Map<string, (answer: Answer) => void>();

  constructor(registry: ApprovalRegistry) {
    this.#registry = registry;
  }

  answered({ asker, key }: Approval, answer: Answer): void {
    this.#waiting.get(`${asker} ${key}`)?.(answer);
  }

  /** @returns null when `signal` was first: the same request asks on */
  async ask(user: string, request: ApprovalRequest, signal: AbortSignal): Promise<Answer | null> {
    const name = `${user} ${request.key}`;
    const { promise, resolve } = Promise.withResolvers<Answer | null>();
    const onAbort = () => resolve(null);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.set(name, resolve);
    try {
      const answer = this.#registry.ask(user, request) ?? (signal.aborted ? null : await promise);
      if (answer !== null) this.#registry.delivered(user, request.key);
      else this.#registry.unheard(user, request.key);
      return answer;
    } finally {
      signal.removeEventListener("abort", onAbort);
      // A later request of the same key may wait in its place.
      if (this.#waiting.get(name) === resolve) this.#waiting.delete(name);
    }
  }
}
