// SPDX-License-Identifier: Apache-2.0

/**
 * Tells Matrix what is kept of each agent: one state event of its session and one of what it took, in the service's own
 * room, under the agent's name. Some time after the change, and seldom: a log grows with every word.
 */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { EventType } from "../../lib/schema/event_type.ts";
import type { AgentMetrics, AgentSession } from "../../lib/schema/agent_session.ts";
import type { ProxyMatrix } from "../../lib/proxyclient/mod.ts";
import type { Store } from "./store.ts";

/** Between a change and its telling. */
const SETTLE_MS = 2_000;
/** Between two tellings of one agent. */
const APART_MS = 15_000;
const RETRY_MS = 30_000;

export interface PublisherOptions {
  readonly store: () => Store;
  readonly matrix: Pick<ProxyMatrix, "putState">;
  readonly room: string;
  /** User id of this service. */
  readonly service: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly warn: (text: string) => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #waiting = new Set<string>();
  readonly #toldAt = new Map<string, number>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  changed(agent: string): void {
    if (this.#waiting.has(agent)) return;
    this.#waiting.add(agent);
    const { clock } = this.#options;
    const next = (this.#toldAt.get(agent) ?? -Infinity) + APART_MS;
    void this.#later(agent, Math.max(SETTLE_MS, next - clock.now()));
  }

  async #later(agent: string, wait: number): Promise<void> {
    const { clock, signal, warn } = this.#options;
    try {
      await clock.sleep(wait, signal);
    } catch {
      return;
    }
    // What changes from here on is told by the next.
    this.#waiting.delete(agent);
    this.#toldAt.set(agent, clock.now());
    try {
      await this.#tell(agent);
    } catch (thrown) {
      if (signal.aborted) return;
      warn(`the room was not told of ${agent}: ${messageOf(thrown)}`);
      if (this.#waiting.has(agent)) return;
      this.#waiting.add(agent);
      void this.#later(agent, RETRY_MS);
    }
  }

  async #tell(agent: string): Promise<void> {
    const { matrix, room } = this.#options;
    const { session, metrics } = this.#contents(agent);
    const key = agent.slice(1);
    await matrix.putState(room, EventType.agentSession, key, { ...session });
    await matrix.putState(room, EventType.agentMetrics, key, { ...metrics });
  }

  #contents(agent: string): { session: AgentSession; metrics: AgentMetrics } {
    const { service } = this.#options;
    const { sessions, context } = this.#options.store();
    const active = sessions.active(agent);
    const [latest] = sessions.list(agent, 1);
    const { sessions: count, total: { usd, ...total } } = sessions.metrics(agent);
    const of = { version: 1, service, agent } as const;
    return {
      session: {
        ...of,
        active: active === null ? null : shown(active),
        latest: latest === undefined ? null : shown(latest),
        context_tip: context.tip(agent),
      },
      // Matrix has no fractions.
      metrics: {
        ...of,
        sessions: count,
        ...total,
        cost_microusd: Math.min(Number.MAX_SAFE_INTEGER, Math.round(usd * 1e6)),
      },
    };
  }
}

function shown(
  { session_id, program, started_at, ended_at }: {
    readonly session_id: string;
    readonly program: string | null;
    readonly started_at: number;
    readonly ended_at: number | null;
  },
): NonNullable<AgentSession["active"]> {
  return { session_id, program, started_at, ended_at };
}
