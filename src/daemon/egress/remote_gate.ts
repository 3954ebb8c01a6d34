// SPDX-License-Identifier: Apache-2.0

/** One gate in the other thread: remembers what it was told, for a thread that starts anew. */
import type { Target } from "../../lib/authority.ts";
import type { GateAsk, GateCounters } from "./gate.ts";
import type { GateSettings, PrincipalGate } from "./gates.ts";
import type { ToThread } from "./thread_api.ts";
import { type EgressUsage, emptyUsage, sumUsage } from "./usage.ts";

let calls = 0;

interface Listening {
  readonly path: string;
  call: number;
  isUp: boolean;
  /** Settles the first call only. */
  readonly first: PromiseWithResolvers<void>;
}

export class RemoteGate implements PrincipalGate {
  readonly id: number;
  readonly settings: GateSettings;
  readonly #send: (message: ToThread) => void;
  #policy: (ToThread & { kind: "policy" }) | null = null;
  #listening: Listening | null = null;
  /** Of threads that ended. */
  #before = emptyUsage();
  #now = emptyUsage();

  constructor(id: number, settings: GateSettings, send: (message: ToThread) => void) {
    this.id = id;
    this.settings = settings;
    this.#send = send;
  }

  get usage(): EgressUsage {
    return sumUsage(this.#before, this.#now);
  }

  get counters(): GateCounters {
    const sum = (what: "allowed" | "refused" | "up" | "down") =>
      this.#before[what] + this.#now[what];
    return { allowed: sum("allowed"), refused: sum("refused"), bytes: sum("up") + sum("down") };
  }

  setPolicy(allow: readonly string[], deny: readonly string[] = [], ask?: GateAsk): void {
    this.#policy = { kind: "policy", gate: this.id, allow, deny, ask: ask ?? null };
    this.#send(this.#policy);
  }

  listen(path: string, signal?: AbortSignal): Promise<void> {
    this.#stopListening();
    if (signal?.aborted) return Promise.resolve();
    const listening = { path, call: ++calls, isUp: false, first: Promise.withResolvers<void>() };
    this.#listening = listening;
    this.#send({ kind: "listen", gate: this.id, call: listening.call, path });
    return listening.first.promise;
  }

  #stopListening(): void {
    this.#listening?.first.resolve();
    this.#listening = null;
  }

  close(): void {
    this.#stopListening();
    this.#send({ kind: "close", gate: this.id });
  }

  /** Tells a new thread everything. */
  begin(): void {
    this.#send({ kind: "make", gate: this.id, principal: this.settings.principal });
    if (this.#policy !== null) this.#send(this.#policy);
    const listening = this.#listening;
    if (listening === null) return;
    listening.call = ++calls;
    this.#send({ kind: "listen", gate: this.id, call: listening.call, path: listening.path });
  }

  /** The thread ended, and what stood with it. */
  lose(): void {
    this.#before = { ...sumUsage(this.#before, this.#now), active: 0 };
    this.#now = emptyUsage();
  }

  heard(call: number, error: string | null): void {
    const listening = this.#listening;
    if (listening?.call !== call) return;
    if (error === null) {
      listening.isUp = true;
      return listening.first.resolve();
    }
    this.#listening = null;
    // The first time the caller hears it, and may try again.
    if (!listening.isUp) return listening.first.reject(new Error(error));
    this.settings.log.error("egress gate can't listen anew: the principal has no way out", {
      why: error,
    });
  }

  refused(target: Target, code: string): void {
    this.settings.onRefused?.(target, code);
  }

  count(usage: EgressUsage): void {
    this.#now = usage;
  }
}
