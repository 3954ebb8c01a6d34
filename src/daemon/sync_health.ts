// SPDX-License-Identifier: Apache-2.0

/** How the machine's sync is, for logs and `bureau status`. */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { MessagingError } from "../messaging/mod.ts";
import type { DaemonStatus } from "./api.ts";

export class SyncHealth {
  readonly #log: Logger;
  /** Syncs that failed since the start. */
  errors = 0;
  #state: DaemonStatus["sync"] = { state: "starting", last_ok: null, message: null };

  constructor(log: Logger) {
    this.#log = log;
  }

  get state(): DaemonStatus["sync"] {
    return this.#state;
  }

  ok(at: number): void {
    if (this.#state.state !== "ok") this.#log.info("sync is well");
    this.#state = { state: "ok", last_ok: at, message: null };
  }

  failing(error: unknown): void {
    this.errors++;
    const message = messageOf(error);
    if (this.#state.message !== message) this.#log.warn("sync fails", { why: message });
    const hint = error instanceof MessagingError && error.hint !== undefined
      ? `; ${error.hint}`
      : "";
    this.#state = { state: "failing", last_ok: this.#state.last_ok, message: message + hint };
  }

  lost(message: string): void {
    this.#state = { state: "lost", last_ok: this.#state.last_ok, message };
  }
}
