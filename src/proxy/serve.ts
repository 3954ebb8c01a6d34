// SPDX-License-Identifier: Apache-2.0

/** Puts one principal's proxy together and serves it until it is told to stop. */
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createAdminHandler } from "./admin.ts";
import type { ProxyBootstrap } from "./api.ts";
import type { RotatedCredential } from "./credentials/source.ts";
import { AgentServer, listen, removeStale } from "./agent_server.ts";
import type { UpstreamEnvironment } from "./forward.ts";
import { Bindings } from "./renew.ts";
import { ProxyState } from "./state.ts";
import type { SshAgentServer } from "./ssh/server.ts";
import { ForwardServer } from "./tunnel/server.ts";

/** Without a byte in either direction for 10 minutes, an exchange is given up. Never by total time (W-23). */
const IDLE_TIMEOUT_MS = 600_000;
const SWEEP_MS = 5_000;
/** How long a polite stop waits for open requests. */
const DRAIN_MS = 3_000;

export interface ProxySockets {
  readonly agent: string;
  readonly forward: string;
  readonly admin: string;
  readonly egress: string;
  readonly ssh: string;
}

export interface ProxyOptions {
  readonly sockets: ProxySockets;
  readonly clock?: Clock;
  readonly idleTimeoutMs?: number;
  readonly maxActive?: number;
  readonly sweepMs?: number;
  readonly log?: Logger;
  /** A credential has a new value; called before it is used. */
  readonly onRotated?: (rotated: RotatedCredential) => void;
}

export interface RunningProxy {
  readonly state: ProxyState;
  /** Other credentials, without a pause. @throws when they can't be used; then the old ones stay */
  renew(document: ProxyBootstrap): Promise<void>;
  /** Refuses new requests, waits a little for open ones, closes everything. Idempotent. */
  stop(): Promise<void>;
}

/** @throws when a socket cannot be made or an upstream cannot be used */
export async function startProxy(
  bootstrap: ProxyBootstrap,
  options: ProxyOptions,
): Promise<RunningProxy> {
  const clock = options.clock ?? systemClock;
  let sweep: ReturnType<typeof setInterval> | undefined;
  const state = new ProxyState(bootstrap, clock, options.maxActive);
  const environment: UpstreamEnvironment = {
    egressSocket: options.sockets.egress,
    now: () => clock.now(),
    counters: state.counters,
    idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    onOpen: () => startSweep(),
  };
  const onRotated = options.onRotated ?? (() => {});
  const bindings = await Bindings.open(state, environment, onRotated);
  // Not at start: a first timer costs 1.6 MB, which a proxy that was never asked need not have.
  const startSweep = () => {
    sweep ??= setInterval(() => {
      bindings.sweep();
      forward.sweep();
      agentServer.sweep();
    }, options.sweepMs ?? SWEEP_MS);
  };
  const closing = new AbortController();
  const admin = await listen(options.sockets.admin, createAdminHandler(state, closing.signal));
  let agentServer: AgentServer;
  let forward: ForwardServer;
  let ssh: SshAgentServer | null = null;
  try {
    await removeStale(options.sockets.ssh);
    if (bootstrap.ssh_keys !== undefined) {
      ssh = await serveSsh(bootstrap.ssh_keys, options.sockets.ssh, options.log);
    }
    agentServer = await AgentServer.start({
      path: options.sockets.agent,
      handle: (request, info) => bindings.agent.handle(request, info),
      abandoned: () => state.counters.abandoned,
      now: () => clock.now(),
      onFault: (thrown) => options.log?.warn("proxy.sock stays as it was", { why: String(thrown) }),
    });
    await removeStale(options.sockets.forward);
    forward = new ForwardServer({
      path: options.sockets.forward,
      egressSocket: options.sockets.egress,
      state,
      service: (name) => bindings.agent.services.get(name),
      now: () => clock.now(),
      idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      onOpen: startSweep,
    });
    await Deno.chmod(options.sockets.forward, 0o660);
  } catch (thrown) {
    await ssh?.close();
    await admin.shutdown();
    throw thrown;
  }
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    state.draining = true;
    // Idle keep-alive connections of callers end here; open requests get their time.
    state.approvals.close();
    bindings.agent.close();
    const drained = agentServer.shutdown();
    const enough = new AbortController();
    await Promise.race([drained, clock.sleep(DRAIN_MS, enough.signal).catch(() => {})]);
    enough.abort();
    clearInterval(sweep);
    bindings.close();
    await forward.close();
    await ssh?.close();
    closing.abort();
    await Promise.all([drained, admin.shutdown()]);
  };
  const renew = async (document: ProxyBootstrap) => {
    const keyring = ssh === null ? null : await keyringOf(document.ssh_keys ?? {});
    await bindings.renew(document);
    if (keyring !== null) ssh!.renew(keyring);
  };
  return { state, renew, stop: () => stopping ??= stop() };
}

/** Loaded only where there are keys: most principals have none. */
async function serveSsh(
  keys: NonNullable<ProxyBootstrap["ssh_keys"]>,
  path: string,
  log?: Logger,
): Promise<SshAgentServer> {
  const { SshAgentServer } = await import("./ssh/mod.ts");
  const server = new SshAgentServer({
    path,
    keyring: await keyringOf(keys),
    onDecision: ({ verdict, key, what }) => {
      log?.[verdict === "allowed" ? "info" : "warn"]("ssh", { verdict, key, what });
    },
  });
  await Deno.chmod(path, 0o660);
  return server;
}

async function keyringOf(keys: NonNullable<ProxyBootstrap["ssh_keys"]>) {
  const { SshKeyring } = await import("./ssh/mod.ts");
  return await SshKeyring.load(keys);
}
