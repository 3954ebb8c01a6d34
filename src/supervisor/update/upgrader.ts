// SPDX-License-Identifier: Apache-2.0

/** Upgrades of one box: who may have one, one at a time, and what is told of it. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Paths } from "../../lib/process/mod.ts";
import type { ReleaseStatus, UpgradeRequest } from "../api.ts";
import type { DevBox } from "../devbox.ts";
import { SupervisorError } from "../errors.ts";
import type { ProcessName } from "../processes.ts";
import { illness, runningNow } from "./health.ts";
import { committed, type Ledger, LedgerFile, NEW_LEDGER, unused } from "./ledger.ts";
import { buildDigest, installRelease, removeReleases, verifyRelease } from "./release.ts";
import { becomeWell, type Machine, stayWell, upgrade } from "./upgrade.ts";

/** Of a successor, before it says that it is proven; its predecessor looks on. */
const SUCCESSOR_SETTLE_MS = 2_000;
const MAX_S = 3_600;

export interface UpgraderOptions {
  readonly box: DevBox;
  readonly paths: Paths;
  /** The checkout's build. */
  readonly distDir: string;
  readonly handOver: Machine["handOver"];
  readonly log: Logger;
  readonly clock?: Clock;
}

export class Upgrader {
  readonly #options: UpgraderOptions;
  readonly #clock: Clock;
  readonly #file: LedgerFile;
  #ledger: Ledger = NEW_LEDGER;
  #running = false;
  #done: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();

  constructor(options: UpgraderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#file = new LedgerFile(options.paths.releases);
  }

  /** Everything is to end. Resolves when no upgrade goes on; one that did is cut short. */
  end(): Promise<void> {
    this.#stop.abort(new SupervisorError("stopped", "Bureau is being stopped"));
    return this.#done;
  }

  /** Resolves when no upgrade goes on. */
  settled(): Promise<void> {
    return this.#done;
  }

  async open(): Promise<void> {
    this.#ledger = await this.#file.read();
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Whether an upgrade goes on. */
  get isBusy(): boolean {
    return this.#running;
  }

  /** @param asked what was asked for in Matrix last */
  async remember(asked: Ledger["asked"]): Promise<void> {
    this.#ledger = await this.#file.change(() => ({ asked }));
  }

  get status(): ReleaseStatus {
    const { current, previous, updating, bad, outcome } = this.#ledger;
    return {
      current,
      previous,
      updating: updating === null ? null : { to: updating.to, step: updating.step },
      bad: Object.entries(bad).map(([digest, about]) => ({ digest, ...about })),
      outcome,
      note: this.#options.box.note,
    };
  }

  /**
   * @returns once it has begun; the ledger says how it goes on
   * @throws {SupervisorError} `upgrading`, `release-bad`, `not-well`, `no-release`, `bad-release`
   */
  async begin(
    request: UpgradeRequest,
  ): Promise<{ to: string; from: string | null; begun: boolean }> {
    const { box, paths, distDir } = this.#options;
    for (const seconds of [request.settle_s, request.deadline_s]) {
      if (seconds >= 0 && seconds <= MAX_S) continue;
      throw new SupervisorError("bad-request", `Cannot wait for ${seconds} s`, {
        status: 400,
        hint: `0 to ${MAX_S} seconds`,
      });
    }
    if (this.#running || box.status.state !== "ready") {
      throw new SupervisorError(
        "upgrading",
        `Cannot upgrade now: ${this.#running ? "an upgrade goes on" : "Bureau is not ready"}`,
        { status: 409, hint: "`bureau status` says what it is doing" },
      );
    }
    this.#running = true;
    try {
      const to = request.release ??
        await installRelease(paths.releases, `${distDir}/runtime`, paths.runtime);
      const dir = await verifyRelease(paths.releases, to);
      const { current, bad } = this.#ledger = await this.#file.read();
      if (to === (current ?? await buildDigest(paths.runtime))) {
        this.#running = false;
        return { to, from: current, begun: false };
      }
      const pinned = bad[to];
      if (pinned !== undefined && !request.again) {
        throw new SupervisorError(
          "release-bad",
          `Cannot upgrade to ${to}: it was tried here and failed: ${pinned.why}`,
          { status: 409, hint: "build another one; --again tries this one once more" },
        );
      }
      const agents = await runningNow(paths.launcherSocket);
      const ill = () => illness(this.#watched(), agents);
      await becomeWell({ ill }, this.#clock, 0);
      this.#run({ to, dir, from: current }, request, ill);
      return { to, from: current, begun: true };
    } catch (thrown) {
      this.#running = false;
      throw thrown;
    }
  }

  #watched() {
    const { box, paths } = this.#options;
    return {
      launcherSocket: paths.launcherSocket,
      daemonSocket: paths.daemonSocket,
      processes: () => box.processes.statuses,
    };
  }

  #run(
    what: { to: string; dir: string; from: string | null },
    { settle_s, deadline_s }: UpgradeRequest,
    ill: () => Promise<string | null>,
  ): void {
    const { box, handOver, log } = this.#options;
    const { processes, runtime: fromDir } = box;
    // What is told must be what is written.
    const ledger = {
      read: () => this.#file.read(),
      change: async (edit: Parameters<LedgerFile["change"]>[0]) =>
        this.#ledger = await this.#file.change(edit),
    } as LedgerFile;
    const machine: Machine = {
      names: () => processes.names,
      processes: () => processes.statuses,
      replace: async (name, into) => {
        const process = name as ProcessName;
        if (processes.runsFrom(process, into)) return;
        await processes.replace(process, into);
      },
      ill,
      handOver,
    };
    this.#done = upgrade(
      { ...what, fromDir, settleMs: settle_s * 1000, wellMs: deadline_s * 1000 },
      { machine, ledger, clock: this.#clock, log, stop: this.#stop.signal },
    )
      .then((after) => void (this.#ledger = after))
      .catch((thrown) => log.error("cannot write the ledger", { why: messageOf(thrown) }))
      .finally(() => this.#running = false);
  }

  /** As the supervisor of a release that another one hands over to: proves itself, and says so. */
  async succeed(release: string): Promise<void> {
    const { box, paths, log } = this.#options;
    this.#ledger = await this.#file.read();
    if (this.#ledger.updating?.to !== release) return;
    this.#running = true;
    try {
      const agents = await runningNow(paths.launcherSocket);
      const ill = () => illness(this.#watched(), agents);
      await becomeWell({ ill }, this.#clock);
      const machine = { ill, processes: () => box.processes.statuses };
      await stayWell(machine, SUCCESSOR_SETTLE_MS, this.#clock);
      const now = this.#clock.now();
      this.#ledger = await this.#file.change((ledger) => committed(ledger, release, now));
      log.info("upgraded", { to: release });
      await removeReleases(paths.releases, unused(this.#ledger, [...agents.values()]));
    } catch (thrown) {
      // Whoever handed over sees that nothing was written, and takes everything back.
      log.error("not well", { why: messageOf(thrown) });
    } finally {
      this.#running = false;
    }
  }
}
