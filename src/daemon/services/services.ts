// SPDX-License-Identifier: Apache-2.0

/**
 * Brings services and their callers together on this machine. One pass looks at everything and mends what
 * differs; whatever may have changed something asks for a pass. Nothing of it is started before a principal
 * needs it.
 */
import { type EffectivePolicy, flattenForProxy, nextExpiry } from "../../lib/authorization/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Client } from "../../lib/http/mod.ts";
import type { Logger } from "../../lib/log.ts";
import { parseUserId } from "../../lib/ref/mod.ts";
import type { launcherApi } from "../../launcher/api.ts";
import type { Service } from "../../lib/schema/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { DaemonBootstrap } from "../api.ts";
import type { ManagedPrincipal } from "../principal.ts";
import type { TrustContext } from "../trust.ts";
import { Announcements } from "./announcements.ts";
import { announced, bindingOf, type DirectoryContext, machineOf, trustFor } from "./directory.ts";
import { type KeysNow, SigningKeys } from "./keys.ts";
import { type MintedToken, mintToken } from "./mint.ts";
import { type Say, ServiceNotices } from "./notices.ts";
import { FleetPeers } from "./peers.ts";
import { type Wants, wantsOf } from "./required.ts";
import { Revocations } from "./revocations.ts";
import { Seat } from "./seat.ts";

/** However quiet it is. */
const LOOK_MS = 60_000;
/** After something could not be done. */
const RETRY_MS = 250;
const RETRIES = 40;

export interface ServicesOptions {
  readonly bootstrap: DaemonBootstrap;
  readonly trust: TrustContext;
  readonly client: Pick<MatrixClient, "putState">;
  readonly launcher: Client<typeof launcherApi>;
  readonly principals: () => Iterable<ManagedPrincipal>;
  /** Null before the first sync. */
  readonly configRoom: () => string | null;
  /** Room id of an alias, joined if it wasn't. @throws when it can't be */
  readonly openRoom: (alias: string) => Promise<string>;
  readonly say: Say;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class Services {
  /** Of other machines, and what they may know of this one. */
  readonly peers: FleetPeers;
  readonly #options: ServicesOptions;
  readonly #context: DirectoryContext;
  readonly #keys: SigningKeys;
  readonly #revocations = new Revocations();
  readonly #announcements: Announcements;
  /** By `hash:started_at` of the sandbox. */
  readonly #seats = new Map<string, Seat>();
  /** What a live sandbox was made for; kept while its events can't be read. */
  readonly #wants = new Map<string, Wants>();
  readonly #notices: ServiceNotices;
  #timer: AbortController | null = null;
  #isBusy = false;
  #isDirty = false;
  #failures = 0;
  #isNeeded: boolean | null = null;

  constructor(options: ServicesOptions) {
    this.#options = options;
    const { bootstrap, trust, client, openRoom, clock, log, signal } = options;
    const { fleet, server_name: serverName } = bootstrap;
    this.#context = { ...trust, fleet, serverName };
    this.#notices = new ServiceNotices(options.say);
    this.#keys = new SigningKeys(bootstrap.state_dir);
    this.#announcements = new Announcements({
      ...{ client, openRoom, clock, log, signal },
      states: trust.states,
      bootstrap,
      onRooms: () => this.look(),
    });
    this.peers = new FleetPeers({
      ...{ context: this.#context, announcements: this.#announcements, keys: this.#keys },
      need: () => this.#need(),
      isSynced: () => options.configRoom() !== null,
      ...{ clock, signal },
    });
    signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  #need(): void {
    this.#isNeeded = true;
    this.look();
  }

  /** Something that a pass looks at may have changed. */
  look(): void {
    this.#isDirty = true;
    if (this.#isBusy || this.#options.signal.aborted) return;
    this.#isBusy = true;
    this.#work()
      .catch((thrown) =>
        this.#options.log.error("services: pass failed", { why: messageOf(thrown) })
      )
      .finally(() => {
        this.#isBusy = false;
        if (this.#isDirty) this.look();
      });
  }

  /** @param policy all that `subject` may do. @throws {DaemonError} */
  async mint(subject: string, role: string, policy: EffectivePolicy): Promise<MintedToken> {
    const now = this.#options.clock.now();
    // Its key has to be known to services: from now on it is published.
    this.#need();
    return await mintToken(this.#context, async () => (await this.#keys.at(now)).signs, {
      ...{ subject, role, now, policy: flattenForProxy(policy, now) },
      room: this.#options.configRoom(),
    });
  }

  /**
   * Where the service of a role is asked by the machine itself, and its word for that.
   * @throws where none of this machine fills the role
   */
  async asMachine(role: string): Promise<{ readonly socket: string; readonly token: string }> {
    const { clock, configRoom } = this.#options;
    if (this.#isNeeded !== true) throw new Error("there is no service here");
    const now = clock.now();
    const policy = { grants: [{ actions: [`service/${role}/metrics`] }], denials: [] };
    const subject = this.#context.machine;
    const { service, token } = await mintToken(
      this.#context,
      async () => (await this.#keys.at(now)).signs,
      { subject, role, now, policy, room: configRoom() },
    );
    return { socket: await this.offer(service), token };
  }

  async #work(): Promise<void> {
    while (this.#isDirty && !this.#options.signal.aborted) {
      this.#isDirty = false;
      if (this.#options.configRoom() === null) return;
      const wakeAt = await this.#pass();
      this.#wake(wakeAt);
    }
  }

  #wake(at: number): void {
    const { clock } = this.#options;
    this.#timer?.abort();
    const timer = this.#timer = new AbortController();
    const wait = Math.min(LOOK_MS, Math.max(1, at - clock.now()));
    clock.sleep(wait, timer.signal).then(() => this.look(), () => {});
  }

  /** @returns when to look again */
  async #pass(): Promise<number> {
    const { clock, log, principals } = this.#options;
    const all = [...principals()].map((principal) => ({
      principal,
      wants: this.#wantsOf(principal),
    }));
    this.#isNeeded ||=
      all.some(({ wants }) =>
        wants !== null && (wants.roles.length > 0 || wants.service !== null)
      ) || await this.#keys.exist();
    if (!this.#isNeeded) return Infinity;
    if (!await this.#announcements.rooms()) return clock.now() + RETRY_MS;
    this.#revocations.restore(this.#announcements.ownRevocations());
    let keys: KeysNow;
    try {
      keys = await this.#keys.at(clock.now());
    } catch (thrown) {
      log.error("no service tokens", { why: messageOf(thrown) });
      return Infinity;
    }
    const present = new Set<string>();
    let failed: unknown = null;
    let wakeAt = keys.changesAt;
    for (const { principal, wants } of all) {
      const key = liveKey(principal);
      if (wants === null) continue;
      const bound = this.#bound(principal, wants);
      if (key === null) continue;
      present.add(key);
      try {
        const seat = this.#seatOf(key, principal);
        await this.#update(seat, principal, bound, keys);
        const ends = nextExpiry(principal.evaluation.policy, clock.now());
        wakeAt = Math.min(wakeAt, seat.refreshAt, ends ?? Infinity);
      } catch (thrown) {
        failed = thrown;
      }
    }
    for (const [key, seat] of this.#seats) {
      if (present.has(key)) continue;
      if (seat.holdsTokens(clock.now())) this.#revoke(seat.user);
      seat.close();
      this.#seats.delete(key);
    }
    for (const { principal, wants } of all) {
      const key = liveKey(principal);
      const seat = key === null ? undefined : this.#seats.get(key);
      if (!wants?.service || seat === undefined) continue;
      await seat.trust(this.#trustFor(principal.userId, keys)).catch((thrown) => failed = thrown);
    }
    this.#announce(all, keys);
    const { serviceRoom } = this.#announcements;
    if (serviceRoom !== null) this.#notices.directory(announced(this.#context, serviceRoom));
    return this.#next(failed, Math.min(wakeAt, this.#revocations.changesAt));
  }

  #next(failed: unknown, wakeAt: number): number {
    if (failed === null) {
      this.#failures = 0;
      return wakeAt;
    }
    // A sandbox is heard of a moment before its directory is there; one that ends, a moment after.
    if (++this.#failures === RETRIES) {
      this.#options.log.error("a principal's services can't be set up", { why: messageOf(failed) });
    }
    const pause = this.#failures < RETRIES ? RETRY_MS : LOOK_MS;
    return Math.min(wakeAt, this.#options.clock.now() + pause);
  }

  #seatOf(key: string, principal: ManagedPrincipal): Seat {
    const known = this.#seats.get(key);
    if (known !== undefined) return known;
    const { bootstrap, clock, log } = this.#options;
    const seat = new Seat({
      dir: `${bootstrap.run_dir}/p/${principal.status!.hash}/service`,
      principal: principal.localpart,
      user: principal.userId,
      machine: bootstrap.user_id,
      offer: (service) => this.offer(service),
      clock,
      log,
    });
    this.#seats.set(key, seat);
    return seat;
  }

  async #update(
    seat: Seat,
    principal: ManagedPrincipal,
    bound: ReadonlyMap<string, string | null>,
    { signs }: KeysNow,
  ): Promise<void> {
    const { clock } = this.#options;
    const policy = flattenForProxy(principal.evaluation.policy, clock.now());
    const revoke = () => this.#revoke(principal.userId);
    await seat.update(bound, { key: signs, policy }, revoke);
  }

  /** Role → user id of the service that fills it. Says which role nobody fills, also of who waits for it. */
  #bound(
    { localpart, evaluation }: ManagedPrincipal,
    { roles, optional }: Wants,
  ): Map<string, string | null> {
    const rooms = [evaluation.assignment?.room, this.#options.configRoom()];
    const filler = (role: string) => bindingOf(this.#context, role, rooms)?.service ?? null;
    const bound = new Map(roles.map((role) => {
      const service = filler(role);
      this.#notices.role(localpart, role, service !== null);
      return [role, service];
    }));
    for (const role of optional) {
      const service = filler(role);
      if (service !== null) bound.set(role, service);
    }
    return bound;
  }

  #revoke(user: string): void {
    this.#revocations.add(user, this.#options.clock.now());
  }

  /** Host path of the socket of a service that runs here. @throws why there is none */
  async offer(service: string): Promise<string> {
    const { launcher, bootstrap } = this.#options;
    const machine = machineOf(this.#context, this.#announcements.serviceRoom, service);
    if (machine !== null && machine !== bootstrap.user_id) {
      throw new Error(`"${service}" runs on ${machine}, and there is no way between machines yet`);
    }
    const { localpart } = parseUserId(service);
    const { socket } = await launcher.call("offer", { params: { principal: localpart } });
    return socket;
  }

  #trustFor(service: string, keys: KeysNow): string {
    const own = { keys, revoked: this.#revocations.at(this.#options.clock.now()) };
    return JSON.stringify(trustFor(this.#context, this.#announcements.systemRoom, service, own));
  }

  #announce(
    all: readonly { principal: ManagedPrincipal; wants: Wants | null }[],
    keys: KeysNow,
  ): void {
    const services = new Map<string, Service>();
    const machine = this.#options.bootstrap.user_id;
    for (const { principal: { userId, evaluation }, wants } of all) {
      const { want } = evaluation.desired;
      // Whether it is up at the moment is not told: a service that starts anew is the same service.
      if (!wants?.service || want === "stopped" || want === "absent") continue;
      services.set(userId, { ...wants.service, version: 1, principal: userId, machine });
    }
    this.#announcements.want(services, {
      version: 1,
      machine,
      public_key: keys.signs.publicKey,
      ...(keys.others.length === 0 ? {} : { others: keys.others.map((one) => ({ ...one })) }),
      ...this.#revoked(),
      ...this.peers.announced,
    });
  }

  #revoked(): { revoked?: { subject: string; until: number }[] } {
    const entries = this.#revocations.at(this.#options.clock.now());
    return entries.length === 0 ? {} : { revoked: entries.map((one) => ({ ...one })) };
  }

  /** Null: it has nothing to do with services. */
  #wantsOf({ userId, evaluation, isLive }: ManagedPrincipal): Wants | null {
    const { template, assignment, desired } = evaluation;
    if (template === null || desired.problem !== null || desired.want === "hold") {
      const keeps = isLive || desired.want === "hold" || desired.problem !== null;
      if (!keeps) this.#wants.delete(userId);
      return this.#wants.get(userId) ?? null;
    }
    const wants = wantsOf(template, assignment);
    if (wants === null) {
      this.#wants.delete(userId);
      return null;
    }
    this.#wants.set(userId, wants);
    return wants;
  }

  /** Sockets end with the daemon; sandboxes and their tokens stay. */
  #close(): void {
    this.#timer?.abort();
    for (const seat of this.#seats.values()) seat.close();
    this.#seats.clear();
  }
}

/** Of its running sandbox. */
function liveKey({ isLive, status }: ManagedPrincipal): string | null {
  return isLive && status !== null ? `${status.hash}:${status.started_at}` : null;
}
