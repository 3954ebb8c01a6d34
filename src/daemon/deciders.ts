// SPDX-License-Identifier: Apache-2.0

/** What is left to people on this machine: destinations, and tool calls. */
import type { SyncBatch } from "../messaging/mod.ts";
import { Approvals, APPROVE_TOOLS } from "./approvals/approvals.ts";
import { isPerson } from "./approvals/workers.ts";
import { EgressAsks } from "./asks/asks.ts";
import type { WantedTypes } from "./filter.ts";
import type { MachineAuthority } from "./machine_authority.ts";
import type { ManagedPrincipal } from "./principal.ts";
import type { Telling } from "./questions.ts";
import { noEgress } from "../lib/template/mod.ts";

/** On the machine: questions about destinations, whoever asks them. */
export const DECIDE_ASKS = "grant/approve/forward";

export interface DecidersOptions extends Telling {
  readonly authority: () => MachineAuthority;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  readonly wanted: WantedTypes;
}

export class Deciders {
  readonly asks: EgressAsks;
  readonly approvals: Approvals;

  constructor(options: DecidersOptions) {
    const { authority, principal, wanted, machine } = options;
    this.asks = new EgressAsks({
      ...options,
      mayDecide: (user) => authority().audited(user, DECIDE_ASKS, machine),
      timeoutOf: (name) => (principal(name)?.evaluation.egress ?? noEgress).ask.timeoutMs,
      onRules: (name) => principal(name)?.pushRights(),
      onTypes: (types) => wanted.set("answers", types),
    });
    this.approvals = new Approvals({
      ...options,
      mayDecide: (user, asker) =>
        isPerson(asker)
          ? authority().audited(user, APPROVE_TOOLS, machine)
          : authority().auditedOver(user, APPROVE_TOOLS, asker),
      onTypes: (types) => wanted.set("approvals", types),
    });
  }

  async load(): Promise<void> {
    await Promise.all([this.asks.load(), this.approvals.load()]);
  }

  /** What the sync brought of the config room. */
  take(batch: SyncBatch): void {
    this.asks.take(batch);
    this.approvals.take(batch);
  }

  /** Whoever is not assigned any more leaves nothing to a namesake. */
  prune(isAssigned: (principal: string) => boolean): void {
    this.asks.prune(isAssigned);
    this.approvals.prune(isAssigned);
  }

  forget(principal: string): void {
    this.asks.desk.forget(principal);
    this.approvals.registry.forget(principal);
  }

  async close(): Promise<void> {
    await Promise.all([this.asks.close(), this.approvals.close()]);
  }
}
