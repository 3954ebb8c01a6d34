// SPDX-License-Identifier: Apache-2.0

/**
 * The network side of a machine: Matrix in, cells wanted out. Everything that a principal costs is in
 * its `ManagedPrincipal`; this file routes news to those whom it touches.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { traced } from "../lib/telemetry/mod.ts";
import { parseLocalpart, userId } from "../lib/ref/mod.ts";
import { EventType } from "../lib/schema/mod.ts";
import type { Principal as LauncherPrincipal } from "../launcher/api.ts";
import {
  createMatrixClient,
  type MatrixClient,
  RoomStates,
  runSync,
  type SyncBatch,
} from "../messaging/mod.ts";
import { TokenVerifier } from "./access.ts";
import { createAttention } from "./attention/mod.ts";
import { type Gates, localGates } from "./egress/gates.ts";
import { findConfigRoom } from "./connect.ts";
import type { DaemonBootstrap } from "./api.ts";
import { Conditions } from "./conditions/conditions.ts";
import { Deciders } from "./deciders.ts";
import { evaluate, type Evaluation, notYetKnown } from "./desired.ts";
import { ConfigRoomLost, endEverything, lossOf } from "./emergency.ts";
import { DaemonError } from "./errors.ts";
import { Fanout } from "./fanout.ts";
import { keptStates, WantedTypes } from "./filter.ts";
import { beat } from "./heartbeat/heartbeat.ts";
import { acceptInvitations } from "./invitations.ts";
import { LauncherLink } from "./launcher_link.ts";
import { PassCount } from "./metrics/mod.ts";
import { Notices } from "./notices.ts";
import { MachineAuthority } from "./machine_authority.ts";
import { ManagedPrincipal } from "./principal.ts";
import { openRelay } from "./relay.ts";
import { StatusPublisher } from "./publisher.ts";
import { RefusalNotices } from "./refusals.ts";
import { Spending, tellReached } from "./spending.ts";
import { applyBatch, concerns, localpartOf } from "./touched.ts";
import type { Telling } from "./questions.ts";
import { Rooms } from "./rooms.ts";
import { createDaemonHandler } from "./serve.ts";
import { Services } from "./services/mod.ts";
import { fileSyncStore } from "./store.ts";
import { SyncHealth } from "./sync_health.ts";
import { WantedRelease } from "./upgrade/wanted.ts";
import { waysIn } from "./ways_in.ts";

export const DAEMON_VERSION = "0.1.0";

export interface DaemonOptions {
  readonly bootstrap: DaemonBootstrap;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly gates?: Gates;
}

export class Daemon {
  /** Serves `daemon.sock`. */
  readonly handler: (request: Request) => Promise<Response>;
  readonly #bootstrap: DaemonBootstrap;
  readonly #gates: Gates;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #client: MatrixClient;
  readonly #states: RoomStates;
  readonly #rooms: Rooms;
  readonly #launcher: LauncherLink;
  readonly #publisher: StatusPublisher;
  readonly #fanout: Fanout;
  readonly #wanted = new WantedTypes();
  readonly #conditions: Conditions;
  readonly #principals = new Map<string, ManagedPrincipal>();
  readonly #stop = new AbortController();
  readonly #startedAt: number;
  readonly #deciders: Deciders;
  readonly #people: ReturnType<typeof createAttention>;
  readonly #refusals: RefusalNotices;
  readonly #spending: Spending;
  readonly #authority: MachineAuthority;
  #configRoom: string | null = null;
  /** There before the first sync, hence before anything is published. */
  #notices: Notices | null = null;
  #synced = false;
  readonly #health: SyncHealth;
  readonly #services: Services;
  readonly #passes = new PassCount();
  readonly #upgrade: WantedRelease;

  constructor({ bootstrap, log, clock = systemClock, gates = localGates }: DaemonOptions) {
    this.#gates = gates;
    this.#bootstrap = bootstrap;
    this.#log = log;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#health = new SyncHealth(log);
    this.#states = keptStates(log);
    const { homeserver_url: homeserverUrl, access_token: accessToken } = bootstrap;
    this.#client = createMatrixClient({ homeserverUrl, accessToken, clock });
    this.#rooms = new Rooms(this.#client, this.#states, clock);
    this.#conditions = new Conditions({
      client: this.#client,
      serverName: bootstrap.server_name,
      onTypes: (types) => this.#wanted.set("conditions", types),
      signal: this.#stop.signal,
    });
    this.#launcher = new LauncherLink(
      bootstrap.launcher_socket,
      {
        onPrincipal: (name, status, revision) => this.#onCell(name, status, revision),
        onSnapshot: (all, revision) => this.#onCells(all, revision),
        onLost: () => this.#forEach((principal) => principal.forgetStatus()),
      },
      clock,
      log,
    );
    this.#publisher = new StatusPublisher({
      client: this.#client,
      states: this.#states,
      room: () => this.#synced ? this.#configRoom : null,
      say: (...notice) => this.#notices!.say(...notice),
      machine: bootstrap.user_id,
      ...{ clock, log, signal: this.#stop.signal },
    });
    this.#fanout = new Fanout({
      members: (room) => this.#client.members(room),
      onTypes: (types) => this.#wanted.set("followed", types),
      ...{ clock, log },
    });
    this.#authority = new MachineAuthority({
      bootstrap,
      states: this.#states,
      configRoom: () => this.#synced ? this.#configRoom : null,
      principal: (name) => this.#principals.get(name),
      extend: (name, rights) => this.#deciders.asks.extend(name, rights),
      send: (type, content) => this.#notices?.record(this.#configRoom, type, content),
      ...{ clock, log },
    });
    const telling: Telling = {
      ...{ client: this.#client, configRoom: () => this.#configRoom, clock, log },
      ...{ machine: bootstrap.user_id, admins: bootstrap.admins, stateDir: bootstrap.state_dir },
      post: (room, content, txn) => this.#notices!.post(room, content, txn),
      signal: this.#stop.signal,
    };
    this.#deciders = new Deciders({
      ...{ ...telling, wanted: this.#wanted, authority: () => this.#authority },
      principal: (name) => this.#principals.get(name),
    });
    const { asks, approvals } = this.#deciders;
    this.#people = createAttention({
      ...{ bootstrap, clock, log, asks, approvals },
      signal: this.#stop.signal,
      principal: (name) => this.#principals.get(name),
      post: (content, txn) => this.#notices!.post(this.#configRoom!, content, txn),
    });
    const say = (body: string, content: Readonly<Record<string, unknown>>) =>
      this.#notices?.tell(this.#configRoom!, body, content);
    const onReached = tellReached(log, say);
    this.#spending = new Spending({ stateDir: bootstrap.state_dir, ...{ clock, log, onReached } });
    this.#refusals = new RefusalNotices({ clock, say });
    this.#services = new Services({
      ...{ bootstrap, clock, log },
      trust: this.#authority.trust,
      client: this.#client,
      launcher: this.#launcher.client,
      principals: () => this.#principals.values(),
      configRoom: () => this.#synced ? this.#configRoom : null,
      openRoom: (alias) => this.#rooms.open(alias, this.#stop.signal),
      ...{ say, signal: this.#stop.signal },
    });
    this.#upgrade = new WantedRelease({
      ...{ bootstrap, clock, log, trust: this.#authority.trust, signal: this.#stop.signal },
      configRoom: () => this.#synced ? this.#configRoom : null,
      say: (...notice) => this.#notices!.say(...notice),
    });
    this.handler = createDaemonHandler({
      verifier: new TokenVerifier(homeserverUrl, clock),
      ...{ fleet: bootstrap.fleet, serverName: bootstrap.server_name },
      principals: () => this.#principals.values(),
      principal: (localpart) => this.#principals.get(localpart),
      authority: this.#authority,
      status: () => ({
        version: DAEMON_VERSION,
        pid: Deno.pid,
        started_at: this.#startedAt,
        machine: bootstrap.user_id,
        homeserver_url: homeserverUrl,
        sync: this.#health.state,
        launcher: { connected: this.#launcher.connected },
      }),
      launcher: this.#launcher.client,
      openRelay: (principal) =>
        openRelay(principal, this.#launcher.client, this.#bootstrap.run_dir),
      gateRestarts: () => this.#gates.restarts,
      ...{ bootstrap, passes: this.#passes, syncErrors: () => this.#health.errors },
      ...{ fanout: this.#fanout, upgrade: this.#upgrade, services: this.#services },
      ...{ stateDir: bootstrap.state_dir, roomState: (room) => this.#client.roomState(room) },
      ...{ asks, approvals, spending: this.#spending, ...this.#people },
      closing: this.#stop.signal,
      ...waysIn({ bootstrap, clock, log, signal: this.#stop.signal }, this.#services.peers),
      log,
    });
  }

  /**
   * Works until `signal` aborts: then everything is left running for the next daemon to adopt.
   * @returns why, when the account or the config room is gone; every principal has been ended then
   */
  async run(signal: AbortSignal): Promise<DaemonError | null> {
    const link = this.#launcher.run(this.#stop.signal);
    const stop = () => this.#stop.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    let outcome: DaemonError | null = null;
    try {
      this.#configRoom = await findConfigRoom(this.#bootstrap, {
        client: this.#client,
        clock: this.#clock,
        signal: this.#stop.signal,
        onFailure: (thrown) => this.#health.failing(thrown),
      });
      if (!this.#stop.signal.aborted) await this.#follow();
    } catch (thrown) {
      if (!this.#stop.signal.aborted) {
        await this.#lose(thrown);
        outcome = lossOf(thrown);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#stop.abort();
      this.#fanout[Symbol.dispose]();
      this.#forEach((principal) => principal.close());
      this.#refusals.close();
      await Promise.all([this.#spending.close(), this.#authority.audit.settled()]);
      await this.#deciders.close();
      await this.#notices?.[Symbol.asyncDispose]();
      await link;
    }
    return outcome;
  }

  async #follow(): Promise<void> {
    const bootstrap = this.#bootstrap;
    const { state_dir: stateDir, user_id: userId } = bootstrap;
    const { signal } = this.#stop;
    const tools = { client: this.#client, clock: this.#clock, log: this.#log, signal };
    this.#notices = await Notices.open({ ...tools, stateDir });
    await Promise.all([this.#deciders.load(), this.#people.notifier.start()]);
    const launcher = this.#launcher.client;
    const principals = () => this.#principals.values();
    beat({ ...tools, bootstrap, launcher, principals, ...this.#people, version: DAEMON_VERSION });
    await runSync({
      ...tools,
      userId,
      filter: this.#wanted.filter,
      store: fileSyncStore(stateDir, this.#log),
      onBatch: (batch) => traced("sync", {}, () => this.#onBatch(batch)),
      onHealth: (health) => {
        if (health.state === "failing") this.#health.failing(health.error);
        else this.#health.ok(health.at);
      },
    });
  }

  async #onBatch(batch: SyncBatch): Promise<void> {
    const configRoom = this.#configRoom!;
    if (batch.left.includes(configRoom)) throw new ConfigRoomLost();
    if (batch.initial) this.#states.clear();
    const touched = applyBatch(batch, this.#states, configRoom);
    const { keys, rooms, everyone } = touched;
    if (batch.initial && !this.#states.has(configRoom)) {
      // Joined before the sync, absent in it: put out in between, which joining again will tell.
      await this.#client.join(configRoom, this.#stop.signal);
      return;
    }
    this.#synced = true;
    const awaited = this.#conditions.take(batch);
    this.#fanout.take(batch);
    this.#deciders.take(batch);
    acceptInvitations(batch, {
      mayInvite: (user) => this.#authority.mayOnMachine(user, "command/join"),
      join: (room) => this.#client.join(room, this.#stop.signal),
      log: this.#log,
    });
    if (everyone) {
      for (const key of this.#states.all(configRoom, EventType.assignment).keys()) keys.add(key);
    }
    for (const key of keys) this.#ensureByKey(key);
    if (rooms.size > 0) this.#rooms.lookAgain();
    if (batch.initial) this.#deciders.prune((name) => this.#principals.has(name));
    for (const principal of this.#principals.values()) {
      if (awaited.has(principal.userId) || concerns(touched, principal)) principal.reevaluate();
    }
    this.#services.look();
    this.#upgrade.look();
  }

  async #evaluate(user: string): Promise<Evaluation> {
    if (!this.#synced || this.#configRoom === null) return notYetKnown;
    return await evaluate(user, {
      ...this.#authority.trust,
      configRoom: this.#configRoom,
      ...{ serverName: this.#bootstrap.server_name, fleet: this.#bootstrap.fleet },
      homeserverUrl: this.#bootstrap.homeserver_url,
      openRoom: (alias) => this.#rooms.open(alias, this.#stop.signal),
      conditions: this.#conditions,
    });
  }

  #ensureByKey(key: string): void {
    try {
      this.#ensure(localpartOf(key, this.#bootstrap.server_name));
    } catch (thrown) {
      const state_key = key.slice(0, 255);
      this.#log.warn("assignment ignored", { state_key, why: messageOf(thrown) });
    }
  }

  #ensure(name: string): ManagedPrincipal {
    const localpart = parseLocalpart(name);
    let principal = this.#principals.get(localpart);
    if (principal === undefined) {
      principal = new ManagedPrincipal(
        localpart,
        userId(localpart, this.#bootstrap.server_name),
        {
          launcher: this.#launcher.client,
          publisher: this.#publisher,
          evaluate: async (user) => this.#authority.noted(user, await this.#evaluate(user)),
          runDir: this.#bootstrap.run_dir,
          ...{ clock: this.#clock, log: this.#log },
          ...{ gates: this.#gates, asks: this.#deciders.asks, spending: this.#spending },
          onRefused: (refused) => this.#refusals.take(refused),
          onSaid: (name, said) => this.#people.attention.said(name, said),
          onApprovals: (...heard) => this.#deciders.approvals.hear(...heard),
          onPass: this.#passes.count,
          onIdle: (idle) => this.#onIdle(idle),
        },
      );
      this.#principals.set(localpart, principal);
      if (this.#launcher.connected) principal.setStatus(null, 0);
    }
    return principal;
  }

  #onIdle(principal: ManagedPrincipal): void {
    this.#services.look();
    this.#people.attention.look(principal);
    if (!this.#synced || !principal.isGone) return;
    principal.close();
    this.#principals.delete(principal.localpart);
    this.#conditions.release(principal.userId);
    this.#deciders.forget(principal.localpart);
    this.#people.attention.forget(principal.localpart);
  }

  #onCell(name: string, status: LauncherPrincipal | null, revision: number): void {
    try {
      if (status === null) this.#principals.get(name)?.setStatus(null, revision);
      else {
        const isNew = !this.#principals.has(name);
        const principal = this.#ensure(name);
        principal.setStatus(status, revision);
        if (isNew) principal.reevaluate();
      }
    } catch (thrown) {
      this.#log.warn("launcher named what is no principal", { why: messageOf(thrown) });
    }
  }

  #onCells(all: readonly LauncherPrincipal[], revision: number): void {
    const present = new Set(all.map(({ principal }) => principal));
    for (const status of all) this.#onCell(status.principal, status, status.revision);
    this.#forEach((principal) => {
      if (!present.has(principal.localpart)) principal.setStatus(null, revision);
    });
  }

  #forEach(visit: (principal: ManagedPrincipal) => void): void {
    for (const principal of [...this.#principals.values()]) visit(principal);
  }

  /**
   * Without the account or the config room nobody can stop what runs here, so it is stopped: every
   * principal, at once, whether this daemon started it or not.
   */
  async #lose(why: unknown): Promise<void> {
    const message = messageOf(why);
    this.#health.lost(message);
    this.#log.error("lost: ending every principal", { why: message });
    this.#forEach((principal) => principal.close());
    await endEverything(this.#launcher.client, this.#clock, this.#log);
  }
}
