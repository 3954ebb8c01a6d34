// SPDX-License-Identifier: Apache-2.0

/** What of a proxy is made from its credentials, and is made anew when they are others, while requests go on. */
import { type AgentInterface, createAgentInterface } from "./agent.ts";
import type { ProxyBootstrap } from "./api.ts";
import { type Live, openLive, type RotatedCredential } from "./credentials/source.ts";
import type { UpstreamEnvironment } from "./forward.ts";
import type { ProxyState } from "./state.ts";
import type { Upstream } from "./upstream.ts";

interface Bound {
  readonly live: Live;
  readonly agent: AgentInterface;
  readonly upstreams: readonly Upstream[];
}

export class Bindings {
  readonly #state: ProxyState;
  readonly #environment: UpstreamEnvironment;
  readonly #onRotated: (rotated: RotatedCredential) => void;
  #bound!: Bound;
  /** Of earlier credentials, while something of them is open. */
  #retired: Upstream[] = [];

  private constructor(
    state: ProxyState,
    environment: UpstreamEnvironment,
    onRotated: (rotated: RotatedCredential) => void,
  ) {
    this.#state = state;
    this.#environment = environment;
    this.#onRotated = onRotated;
  }

  /** @throws {ProxyError} when an upstream of the document cannot be used */
  static async open(
    state: ProxyState,
    environment: UpstreamEnvironment,
    onRotated: (rotated: RotatedCredential) => void,
  ): Promise<Bindings> {
    const bindings = new Bindings(state, environment, onRotated);
    bindings.#bound = await bindings.#bind(null);
    bindings.#serve();
    return bindings;
  }

  get agent(): AgentInterface {
    return this.#bound.agent;
  }

  /**
   * Grants, egress rules and budgets stay: the daemon's word about them is newer than the document.
   *
   * @throws {ProxyError} when it cannot be used; then all stays as it was
   */
  async renew(document: ProxyBootstrap): Promise<void> {
    const before = this.#state.bootstrap;
    const { services, placeholders, oauth2, ssh_keys, matrix } = document;
    const { placeholders: _p, oauth2: _o, ssh_keys: _s, ...rest } = before;
    const old = this.#bound;
    this.#state.bootstrap = {
      ...rest,
      matrix,
      services,
      ...(placeholders === undefined ? {} : { placeholders }),
      ...(oauth2 === undefined ? {} : { oauth2 }),
      ...(ssh_keys === undefined ? {} : { ssh_keys }),
    };
    try {
      const isSame = JSON.stringify(before.matrix) === JSON.stringify(matrix);
      this.#bound = await this.#bind(isSame ? old.agent : null);
    } catch (thrown) {
      this.#state.bootstrap = before;
      throw thrown;
    }
    this.#serve();
    if (old.agent.matrix !== this.agent.matrix) old.agent.close();
    const kept = new Set(this.#bound.upstreams);
    this.#retired.push(...old.upstreams.filter((upstream) => !kept.has(upstream)));
    this.sweep();
  }

  async #bind(same: AgentInterface | null): Promise<Bound> {
    const { oauth2 } = this.#state.bootstrap;
    const before = (this.#bound as Bound | undefined)?.live;
    const { live, upstreams } = await openLive(
      oauth2,
      this.#environment,
      this.#onRotated,
      before,
    );
    const kept = same?.matrix ?? undefined;
    const agent = createAgentInterface(this.#state, this.#environment, live, kept);
    return { live, agent, upstreams: [...upstreams, ...agent.upstreams] };
  }

  #serve(): void {
    const { hosts, bootstrap } = this.#state;
    hosts.bind(bootstrap.placeholders ?? [], this.#bound.live);
  }

  /** Closes what has been idle for too long. */
  sweep(): void {
    for (const upstream of this.#all()) upstream.sweep();
    this.#retired = this.#retired.filter(({ isUnused }) => !isUnused);
  }

  close(): void {
    for (const upstream of this.#all()) upstream.close();
  }

  #all(): Upstream[] {
    return [...this.#bound.upstreams, ...this.#retired];
  }
}
