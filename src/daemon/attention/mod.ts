// SPDX-License-Identifier: Apache-2.0

/** Whether agents need a person: what is known of each, and who is told. */
import { fileNotifyStore } from "./notify/store.ts";
import { Notifier } from "./notify/notifier.ts";
import { AttentionDesk } from "./desk.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Approvals } from "../approvals/approvals.ts";
import type { EgressAsks } from "../asks/asks.ts";
import type { DaemonBootstrap } from "../api.ts";
import type { ManagedPrincipal } from "../principal.ts";

export { AttentionDesk } from "./desk.ts";
export type { Notifier } from "./notify/notifier.ts";

export interface AttentionTools {
  readonly bootstrap: DaemonBootstrap;
  readonly asks: Pick<EgressAsks, "watch">;
  readonly approvals: Pick<Approvals, "watch" | "registry">;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  /** Sends into the config room, for certain; throws while that is not known. */
  readonly post: (content: Record<string, unknown>, txn: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export function createAttention(
  { bootstrap, asks, approvals, principal, post, clock, log, signal }: AttentionTools,
): { readonly attention: AttentionDesk; readonly notifier: Notifier } {
  const attention = new AttentionDesk({ runDir: bootstrap.run_dir, clock });
  asks.watch(({ pending }) => attention.setAsks(pending));
  approvals.watch(() => attention.setCalls(approvals.registry.pending));
  const notifier = new Notifier({
    targets: bootstrap.notify ?? [],
    desk: attention,
    about: (name) => {
      const assignment = principal(name)?.evaluation.assignment;
      return { template: assignment?.template ?? "", room: assignment?.room ?? null };
    },
    store: fileNotifyStore(bootstrap.state_dir, log),
    delivery: { machine: bootstrap.user_id, admins: bootstrap.admins, post },
    clock,
    log,
  });
  signal.addEventListener("abort", () => {
    notifier.close();
    attention.close();
  }, { once: true });
  return { attention, notifier };
}
