// SPDX-License-Identifier: Apache-2.0

/**
 * The machine's own word in the fleet's machine room: what it is made of, and how it is. At most one status a minute
 * and at least one in five; a host that slept says one thing when it wakes, not what it missed.
 */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Client } from "../../lib/http/mod.ts";
import type { Logger } from "../../lib/log.ts";
import { roomAlias, stateKey } from "../../lib/ref/mod.ts";
import { EventType, type MachineStatus } from "../../lib/schema/mod.ts";
import type { launcherApi } from "../../launcher/api.ts";
import { type Content, type MatrixClient, sameContent } from "../../messaging/mod.ts";
import type { AttentionDesk } from "../attention/desk.ts";
import type { DaemonBootstrap } from "../api.ts";
import type { ManagedPrincipal } from "../principal.ts";
import { infoOf, isNews, type Measured, type Sample, statusOf } from "./content.ts";
import { type Host, readHost } from "./host.ts";

export const BEAT_MS = 60_000;
export const SILENCE_MS = 5 * 60_000;
/** The first beat comes so much later at most, so that a fleet that starts at once is not heard at once. */
const FIRST_MS = 10_000;
/** Hardware and kernel change with a boot; memory may be plugged. */
const INFO_MS = 60 * 60_000;

export interface HeartbeatOptions {
  readonly bootstrap: Pick<DaemonBootstrap, "user_id" | "fleet" | "server_name">;
  readonly version: string;
  readonly client: Pick<MatrixClient, "resolveAlias" | "join" | "getState" | "putState">;
  readonly launcher: Client<typeof launcherApi>;
  readonly principals: () => Iterable<Pick<ManagedPrincipal, "userId" | "localpart" | "status">>;
  readonly attention?: Pick<AttentionDesk, "of">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly host?: () => Host;
  readonly random?: () => number;
}

/** Until `signal` aborts. Never throws: a machine that can't say how it is works on. */
export async function beat(options: HeartbeatOptions): Promise<void> {
  const { clock, log, signal, random = Math.random } = options;
  const heart = new Heart(options);
  let wait = 1_000 + random() * FIRST_MS;
  let complaint: string | null = null;
  while (!signal.aborted) {
    try {
      await clock.sleep(wait, signal);
      wait = BEAT_MS;
      await heart.beat();
      complaint = null;
    } catch (thrown) {
      if (signal.aborted) return;
      const why = messageOf(thrown);
      if (why !== complaint) log.warn("the machine's status is not told", { why });
      complaint = why;
    }
  }
}

class Heart {
  readonly #options: HeartbeatOptions;
  readonly #key: string;
  #room: string | null = null;
  #before: Sample;
  #told: { readonly at: number; readonly status: MachineStatus } | null = null;
  #infoAt: number | null = null;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#key = stateKey(options.bootstrap.user_id);
    const host = (options.host ?? readHost)();
    this.#before = { at: options.clock.now(), host, principals: [] };
  }

  async beat(): Promise<void> {
    const { bootstrap, client, clock, signal } = this.#options;
    const sample = await this.#sample();
    const room = this.#room ??= await this.#findRoom();
    if (this.#infoAt === null || sample.at - this.#infoAt >= INFO_MS) {
      if (await this.#tellInfo(room, sample.host)) this.#infoAt = sample.at;
    }
    const status = statusOf(this.#before, sample, bootstrap.user_id);
    this.#before = sample;
    const told = this.#told;
    const isDue = told === null || sample.at - told.at >= SILENCE_MS || sample.at < told.at;
    if (!isDue && !isNews(told.status, status)) return;
    await client.putState(room, EventType.machineStatus, this.#key, status as Content, signal);
    this.#told = { at: clock.now(), status };
  }

  async #findRoom(): Promise<string> {
    const { bootstrap, client, signal } = this.#options;
    const alias = roomAlias(`${bootstrap.fleet}/machine`, bootstrap.server_name);
    const room = await client.resolveAlias(alias, signal);
    if (room === null) throw new Error(`there is no room "${alias}"`);
    return await client.join(room, signal);
  }

  /** @returns false: it has to be told again, for the launcher could not say what the machine is made of */
  async #tellInfo(room: string, host: Host): Promise<boolean> {
    const { bootstrap, client, launcher, version, signal } = this.#options;
    const hardware = await launcher.call("hardware", { signal }).catch(() => null);
    const present = await client.getState(room, EventType.machineInfo, this.#key);
    // What was known stays, until it is known again.
    if (hardware === null && present !== null) return false;
    const labels = labelsOf(present);
    const info = infoOf(host, hardware, bootstrap.user_id, version, labels) as unknown as Content;
    if (present === null || !sameContent(present, info)) {
      await client.putState(room, EventType.machineInfo, this.#key, info, signal);
    }
    return hardware !== null;
  }

  async #sample(): Promise<Sample> {
    const { attention, clock, host = readHost, launcher, principals, signal } = this.#options;
    const measured: Measured[] = [];
    for (const { userId, localpart, status } of principals()) {
      if (status?.phase !== "running" && status?.phase !== "starting") continue;
      // One after the other: nobody waits for it. Where nothing counts it, or it ends just now, it is only counted.
      const usage = await launcher.call("usage", { params: { principal: localpart }, signal })
        .catch(() => null);
      measured.push({
        userId,
        phase: status.phase,
        frozen: status.frozen === true,
        cpuMs: usage?.cpu_ms ?? null,
        memoryBytes: usage?.memory_bytes ?? 0,
        attention: attention?.of(localpart).attention?.state,
      });
    }
    return { at: clock.now(), host: host(), principals: measured };
  }
}

function labelsOf(present: Content | null): Record<string, string> {
  const labels = present?.["labels"];
  if (typeof labels !== "object" || labels === null || Array.isArray(labels)) return {};
  return Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string] =>
      typeof entry[1] === "string"
    ),
  );
}
