// SPDX-License-Identifier: Apache-2.0

/** A principal's gate as the rest of the daemon sees it, in whichever thread it runs. */
import { EgressGate, type GateAsk, type GateCounters, type GateOptions } from "./gate.ts";
import type { EgressUsage } from "./usage.ts";

export interface PrincipalGate {
  readonly counters: GateCounters;
  readonly usage: EgressUsage;
  setPolicy(allow: readonly string[], deny?: readonly string[], ask?: GateAsk): void;
  /** @throws when the socket can't be made */
  listen(path: string, signal?: AbortSignal): Promise<void>;
  /** Stops listening and cuts every tunnel; may listen again. */
  close(): void;
}

export type GateSettings = Pick<GateOptions, "principal" | "log" | "ask" | "onRefused">;

export interface Gates {
  /** How often its thread ended and was started anew. */
  readonly restarts: number;
  make(settings: GateSettings): PrincipalGate;
  /** The principal is gone for good. */
  drop(gate: PrincipalGate): void;
}

/** In the caller's own thread. */
export const localGates: Gates = {
  restarts: 0,
  make: (settings) => new EgressGate(settings),
  drop: (gate) => gate.close(),
};
