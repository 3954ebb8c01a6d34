// SPDX-License-Identifier: Apache-2.0

/** Aliases to joined rooms, asked of the homeserver once. */
import type { Clock } from "../lib/clock.ts";
import { hasErrcode, type MatrixClient, type RoomStates } from "../messaging/mod.ts";
import { DaemonError } from "./errors.ts";

/** How long "there is no such alias" is believed. */
const ABSENT_MS = 10_000;

export class Rooms {
  readonly #client: MatrixClient;
  readonly #states: RoomStates;
  readonly #clock: Clock;
  readonly #ids = new Map<string, string>();
  readonly #absent = new Map<string, number>();

  constructor(client: MatrixClient, states: RoomStates, clock: Clock) {
    this.#client = client;
    this.#states = states;
    this.#clock = clock;
  }

  /**
   * The id of a room this account is in, joining it first where it may.
   * @throws {DaemonError} `room-missing`, `room-not-joined`, `room-pending`; `MessagingError`
   */
  async open(alias: string, signal?: AbortSignal): Promise<string> {
    const id = this.#ids.get(alias) ?? await this.#resolve(alias, signal);
    if (this.#states.has(id)) return id;
    try {
      await this.#client.join(id, signal);
    } catch (thrown) {
      if (!hasErrcode(thrown, "M_FORBIDDEN")) throw thrown;
      throw new DaemonError(
        "room-not-joined",
        `Cannot join "${alias}": this machine is not invited`,
        {
          cause: thrown,
          hint: "an admin of that room invites this machine's account (`bureau status` names it)",
        },
      );
    }
    // The sync may have brought it meanwhile.
    if (this.#states.has(id)) return id;
    throw new DaemonError("room-pending", `Cannot read "${alias}" yet: it was joined just now`);
  }

  /** A room came: it may have the alias that was missing. */
  lookAgain(): void {
    this.#absent.clear();
  }

  /** The alias may name another room from now on. */
  forget(alias: string): void {
    this.#ids.delete(alias);
  }

  async #resolve(alias: string, signal?: AbortSignal): Promise<string> {
    const now = this.#clock.now();
    const until = this.#absent.get(alias);
    if (until === undefined || until <= now) {
      const id = await this.#client.resolveAlias(alias, signal);
      if (id !== null) {
        this.#absent.delete(alias);
        this.#ids.set(alias, id);
        return id;
      }
      this.#absent.set(alias, now + ABSENT_MS);
    }
    throw new DaemonError("room-missing", `Cannot find the room "${alias}": no such alias`, {
      hint: "was the namespace set up? deno task up does it",
    });
  }
}
