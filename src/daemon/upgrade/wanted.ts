// SPDX-License-Identifier: Apache-2.0

/**
 * An upgrade that an operator asks for in the config room. The daemon carries the signed request to the supervisor that
 * started it, which asks for it, and tells the room what that one says. It replaces nothing itself.
 */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { HOLD_MS, type UpgradeAnswer, type UpgradeReport } from "../../lib/upgrade/mod.ts";
import type { Content } from "../../messaging/mod.ts";
import type { DaemonBootstrap } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { Notices } from "../notices.ts";
import { type TrustContext, verdictOn } from "../trust.ts";
import { type Asked, sentenceOf } from "./sentence.ts";
import { Told } from "./told.ts";

export interface WantedReleaseOptions {
  readonly bootstrap: Pick<DaemonBootstrap, "user_id" | "supervisor_token" | "state_dir">;
  readonly trust: TrustContext;
  /** Null before the first sync. */
  readonly configRoom: () => string | null;
  /** A notice that is sent once for each `txn`. */
  readonly say: Notices["say"];
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Wanted {
  readonly issuedAt: number;
  readonly release: string;
  readonly by: string;
  /** As it came: fields that no schema knows are signed too. */
  readonly content: Content;
}

export class WantedRelease {
  readonly #options: WantedReleaseOptions;
  readonly #told: Told;
  #wanted: Wanted | null = null;
  /** What was found unfit, so that it is logged once. */
  #unfit = "";
  #waiters = new Set<() => void>();
  #telling: Promise<void> = Promise.resolve();

  constructor(options: WantedReleaseOptions) {
    this.#options = options;
    this.#told = new Told(`${options.bootstrap.state_dir}/upgrade.json`, options.log);
    options.signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  /** The config room may say another thing. */
  look(): void {
    const before = this.#wanted?.issuedAt;
    this.#wanted = this.#read();
    if (this.#wanted === null || this.#wanted.issuedAt === before) return;
    this.#wake();
    if (this.#options.bootstrap.supervisor_token !== undefined) return;
    const message = "nothing here replaces processes: this machine's are started by its units";
    const { issuedAt, release } = this.#wanted;
    this.#tell({ issued_at: issuedAt, to: release, state: "refused", step: null, message });
  }

  /** @throws {DaemonError} `unauthenticated` for whoever is not our supervisor */
  async ask(request: Request, { seen, asked }: UpgradeReport): Promise<UpgradeAnswer> {
    this.#authenticate(request);
    if (asked !== null && asked.issued_at === this.#wanted?.issuedAt) this.#tell(asked);
    // While one goes on, its supervisor has more to say soon.
    if (asked?.state !== "running" && !this.#isNews(seen)) await this.#change();
    return { wanted: this.#isNews(seen) ? this.#wanted!.content : null };
  }

  #isNews(seen: number | null): boolean {
    return this.#wanted !== null && this.#wanted.issuedAt !== seen;
  }

  #authenticate(request: Request): void {
    const expected = this.#options.bootstrap.supervisor_token;
    if (expected !== undefined && sameSecret(bearerOf(request), expected)) return;
    throw new DaemonError(
      "unauthenticated",
      "Cannot serve the request: it is not of the supervisor that started this daemon",
      { status: 401, hint: "ask for an upgrade with `bureau machine upgrade`" },
    );
  }

  async #change(): Promise<void> {
    const { clock, signal } = this.#options;
    if (signal.aborted) return;
    const over = new AbortController();
    const wake = () => over.abort();
    this.#waiters.add(wake);
    await clock.sleep(HOLD_MS, over.signal).catch(() => {});
    this.#waiters.delete(wake);
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  #read(): Wanted | null {
    const { trust, configRoom, bootstrap: { user_id: machine } } = this.#options;
    const room = configRoom();
    if (room === null) return null;
    const key = stateKey(machine);
    const entry = trust.states.get(room, EventType.bureauVersion, key);
    if (entry === undefined) return null;
    const verdict = verdictOn(trust, room, EventType.bureauVersion, entry.sender, machine);
    if (!verdict.allowed) return this.#ignore(entry.eventId, verdict.why);
    const state = trust.states.read(room, EventType.bureauVersion, key);
    if (state === undefined || !state.ok || state.value === null) return null;
    const { issued_at: issuedAt, release, machine: named } = state.value;
    if (named !== machine) return this.#ignore(entry.eventId, `it is for "${named}"`);
    return { issuedAt, release, by: entry.sender, content: entry.content };
  }

  #ignore(event: string | undefined, why: string): null {
    if (this.#unfit !== why + event) {
      this.#options.log.warn("upgrade ignored", { event: event ?? null, why });
    }
    this.#unfit = why + event;
    return null;
  }

  /** In order, each once. */
  #tell(asked: Asked): void {
    // A short step may pass between two reports, the beginning not.
    if (asked.state === "running" && asked.step !== null) this.#tell({ ...asked, step: null });
    const { say, configRoom, log } = this.#options;
    const by = this.#wanted!.by;
    this.#telling = this.#telling.then(async () => {
      const room = configRoom();
      const key = `${asked.state}:${asked.step ?? ""}`;
      if (room === null || !await this.#told.isNew(asked.issued_at, key)) return;
      const { body, part } = sentenceOf(asked, by);
      await say(room, body, `bureau-upgrade-${asked.issued_at}-${key}`, part);
      await this.#told.add(asked.issued_at, key);
    }).catch((thrown) => log.warn("upgrade not told", { why: messageOf(thrown) }));
  }
}
