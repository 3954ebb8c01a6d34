// SPDX-License-Identifier: Apache-2.0

/** Polls of one account that wait at the same time; with one more the oldest is answered. */
export const MAX_POLLS = 1_000;

/**
 * Wakes long polls. A wake costs the smaller of the room's members and the waiting users: never a
 * look at another room, and nothing at all for clients that wait for something else.
 */
export class Notifier {
  readonly #waiting = new Map<string, Set<(yields?: boolean) => void>>();
  readonly #membersOf: (roomId: string) => Iterable<string>;
  readonly #cache = new Map<string, Set<string>>();

  /** @param membersOf joined users of a room, read when it first wakes somebody */
  constructor(membersOf: (roomId: string) => Iterable<string>) {
    this.#membersOf = membersOf;
  }

  /** How many long polls wait. */
  get waiting(): number {
    let count = 0;
    for (const waiters of this.#waiting.values()) count += waiters.size;
    return count;
  }

  /** Something was committed in the room. */
  wakeRoom(roomId: string): void {
    if (this.#waiting.size === 0) return;
    let members = this.#cache.get(roomId);
    if (members === undefined) {
      members = new Set(this.#membersOf(roomId));
      this.#cache.set(roomId, members);
    }
    if (members.size <= this.#waiting.size) {
      for (const userId of members) this.wakeUser(userId);
    } else {
      for (const userId of [...this.#waiting.keys()]) {
        if (members.has(userId)) this.wakeUser(userId);
      }
    }
  }

  wakeUser(userId: string): void {
    const waiters = this.#waiting.get(userId);
    if (waiters === undefined) return;
    this.#waiting.delete(userId);
    for (const wake of waiters) wake();
  }

  /** The room's membership changed: its members are read anew at the next wake. */
  forgetMembers(roomId: string): void {
    this.#cache.delete(roomId);
  }

  /**
   * Resolves at the user's next wake, after `ms`, or when `signal` says that nobody listens.
   * There is no gap: what is committed after this call wakes it.
   *
   * @returns false when it must make room for a newer poll of the same account
   */
  wait(userId: string, ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (yields?: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        const waiters = this.#waiting.get(userId);
        if (waiters?.delete(done) && waiters.size === 0) this.#waiting.delete(userId);
        resolve(yields !== true);
      };
      const timer = setTimeout(done, ms);
      if (signal.aborted) return done();
      signal.addEventListener("abort", done, { once: true });
      const waiters = this.#waiting.get(userId);
      if (waiters === undefined) this.#waiting.set(userId, new Set([done]));
      else {
        waiters.add(done);
        if (waiters.size > MAX_POLLS) waiters.values().next().value!(true);
      }
    });
  }

  /** Ends every wait, for a shutdown. */
  wakeAll(): void {
    for (const userId of [...this.#waiting.keys()]) this.wakeUser(userId);
  }
}
