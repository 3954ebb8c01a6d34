// SPDX-License-Identifier: Apache-2.0

/** What the daemon itself tells: of its sync, its passes, its principals and their gates. */
import { Histogram, type Measured, MetricText } from "../../lib/metrics/mod.ts";
import type { DaemonStatus } from "../api.ts";
import type { ManagedPrincipal } from "../principal.ts";

/** Passes over principals, as they are made. */
export class PassCount {
  readonly #seconds = new Histogram();
  #failed = 0;

  readonly count = (seconds: number, isGood: boolean): void => {
    this.#seconds.observe(seconds);
    if (!isGood) this.#failed++;
  };

  get measured(): Measured {
    return {
      bureau_daemon_reconcile_seconds: this.#seconds.distribution,
      bureau_daemon_reconcile_errors_total: this.#failed,
    };
  }
}

export interface Told {
  readonly passes: PassCount;
  readonly sync: DaemonStatus["sync"];
  readonly syncErrors: number;
  readonly launcher: { readonly connected: boolean };
  readonly gateRestarts: number;
  /** Questions that wait, by kind. */
  readonly waiting: Readonly<Record<"egress" | "tool", number>>;
}

export function daemonMetrics(
  { passes, sync, syncErrors, launcher, gateRestarts, waiting }: Told,
  principals: readonly ManagedPrincipal[],
): Measured {
  const views = principals.map((principal) => principal.view());
  return {
    bureau_daemon_sync_ok: Number(sync.state === "ok"),
    ...(sync.last_ok === null
      ? {}
      : { bureau_daemon_sync_last_success_time_seconds: sync.last_ok / 1000 }),
    bureau_daemon_sync_errors_total: syncErrors,
    bureau_daemon_launcher_connected: Number(launcher.connected),
    ...passes.measured,
    bureau_daemon_principals: countBy(views, "desired"),
    bureau_daemon_principals_by_phase: countBy(views, "phase"),
    bureau_daemon_principals_unhealthy: views.filter(({ health }) => health?.state === "unhealthy")
      .length,
    bureau_daemon_asks_waiting: Object.entries(waiting).map(([kind, count]) => [{ kind }, count]),
    bureau_daemon_observers: views.reduce((sum, { watchers }) => sum + watchers, 0),
    bureau_egress_restarts_total: gateRestarts,
  };
}

function countBy<K extends "desired" | "phase">(
  views: readonly { readonly [key in K]: string }[],
  key: K,
) {
  const counts = Map.groupBy(views, (view) => view[key]);
  return [...counts].map(([value, all]) => [{ [key]: value }, all.length] as const);
}

/** What each principal's gate counted, and whether it is well. */
export function principalMetrics(principals: readonly ManagedPrincipal[]): MetricText {
  const text = new MetricText();
  for (const { localpart: principal, attachment: { egressUsage }, status } of principals) {
    text.add({
      bureau_egress_allowed_total: egressUsage.allowed,
      bureau_egress_refused_total: egressUsage.refused,
      bureau_egress_sent_bytes_total: egressUsage.up,
      bureau_egress_received_bytes_total: egressUsage.down,
      bureau_egress_tunnels: egressUsage.active,
      ...(status?.health === undefined
        ? {}
        : { bureau_agent_healthy: Number(status.health.state === "healthy") }),
    }, { process: "daemon", principal });
  }
  return text;
}
