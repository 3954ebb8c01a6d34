// SPDX-License-Identifier: Apache-2.0

/** One principal: its proxy, its sandbox, its relay, and everything that may happen to them. */
import { type Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type PaneState, SESSION, type Tmux } from "../lib/tmux/mod.ts";
import { EXIT_FILE } from "../sandbox/mod.ts";
import type { ProxyBootstrap } from "../proxy/api.ts";
import type { RelayBootstrap } from "../observe/api.ts";
import type { ExitStatus, Principal as Status, Usage } from "./api.ts";
import { type ServiceCell, startServiceCell, startTmuxCell, tmuxClient } from "./cells.ts";
import {
  directoriesOf,
  makeDirectories,
  removeDirectories,
  writeCellFiles,
} from "./directories.ts";
import { LauncherError } from "./errors.ts";
import { limitReached, type Limits, SERVICE_LIMITS } from "./limits.ts";
import type { Cgroups } from "./limits_cell.ts";
import type { Enter } from "./limits_enter.ts";
import { readIfThere, removeIfThere } from "./files.ts";
import type { Validated } from "./validate.ts";
import { tellAppeared } from "./watched.ts";

const OUTPUT_LINES = 500;
const START_MS = 10_000;
/** Each is as long as a client of `lib/tmux` waits. */
const LATE_TRIES = 20;
/** After its server was told to end, a cell is gone in milliseconds. */
const GONE_MS = 15_000;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_LAST_MS = 5_000;
const STABLE_MS = 30_000;
/** A relay ends itself after this long without a watcher. */
const RELAY_IDLE_MS = 60_000;

export interface PrincipalContext {
  readonly runDir: string;
  readonly runtimeDir: string;
  readonly machine: string;
  /** See `LauncherBootstrap.audit_dir`. */
  readonly auditDir: string | undefined;
  /** Null where the machine gave us no place for control groups. */
  readonly cgroups: Cgroups | null;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nextRevision: () => number;
  /** Told after each change of `status`. */
  readonly changed: (type: "principal" | "proxy", principal: Principal) => void;
  /** Told once, before `changed`, when the sandbox has exited. */
  readonly exited: (principal: Principal, exit: ExitStatus) => Promise<void>;
}

export class Principal {
  readonly localpart: string;
  readonly hash: string;
  readonly #context: PrincipalContext;
  readonly #tmux: Tmux;
  readonly #stop = new AbortController();
  readonly #exitSeen = Promise.withResolvers<ExitStatus>();
  #status: Status;
  #proxy: ServiceCell | null = null;
  #proxyLoop: Promise<void> = Promise.resolve();
  #relay: Promise<ServiceCell> | null = null;
  /** Resolves when no process of the tmux cell is left; only known of a cell that we started. */
  #gone: Promise<void> = Promise.resolve();

  constructor(
    validated: Pick<Validated, "localpart" | "userId" | "specDigest" | "credentialsDigest">,
    hash: string,
    issuedAt: number,
    startedAt: number,
    context: PrincipalContext,
  ) {
    this.localpart = validated.localpart;
    this.hash = hash;
    this.#context = context;
    this.#tmux = tmuxClient(directoriesOf(context.runDir, hash).tmux);
    this.#exitSeen.promise.catch(() => {});
    this.#status = {
      principal: validated.localpart,
      user_id: validated.userId,
      hash,
      phase: "starting",
      issued_at: issuedAt,
      spec_digest: validated.specDigest,
      credentials_digest: validated.credentialsDigest,
      started_at: startedAt,
      exit: null,
      proxy: { ready: false, restarts: 0 },
      message: null,
      revision: context.nextRevision(),
    };
  }

  get status(): Status {
    return this.#status;
  }

  #set(change: Partial<Status>, type: "principal" | "proxy" = "principal"): void {
    this.#status = { ...this.#status, ...change, revision: this.#context.nextRevision() };
    this.#context.changed(type, this);
  }

  /** Resolves when the sandbox has exited; rejects when the principal is destroyed before. */
  wait(): Promise<ExitStatus> {
    return this.#exitSeen.promise;
  }

  /** Makes proxy, then sandbox. @throws {LauncherError} after undoing what was made */
  async start(validated: Validated, bootstrap: ProxyBootstrap): Promise<void> {
    const { runDir } = this.#context;
    try {
      await makeDirectories(runDir, this.hash, this.localpart);
      // The daemon opens this principal's egress gate when it hears of the directory.
      this.#set({ phase: "starting" });
      await this.#tellAppeared();
      await writeCellFiles(runDir, this.hash, validated);
      await this.#startProxy(bootstrap);
      await this.#startSandbox(validated);
    } catch (thrown) {
      this.#set({ phase: "failed", message: messageOf(thrown) });
      throw thrown;
    }
  }

  /** Takes over a sandbox that outlived an earlier launcher; only its proxy is made anew. */
  async adopt(bootstrap: ProxyBootstrap): Promise<boolean> {
    const usage = await this.#usage();
    // Its tmux is frozen with it and would not answer.
    if (usage?.frozen === true) await this.#context.cgroups!.freeze(this.hash, false);
    const pane = await this.#pane();
    if (pane === null) return false;
    if (usage === null && this.#context.cgroups !== null) {
      this.#context.log.warn("a running principal has no limits until it is started anew", {
        principal: this.localpart,
      });
    }
    this.#set({ phase: "running" });
    if (usage?.frozen === true) await this.freeze(true);
    this.#watch();
    await this.#startProxy(bootstrap).catch((thrown) => {
      this.#context.log.error("cannot restart a proxy yet", {
        principal: this.localpart,
        why: messageOf(thrown),
      });
      this.#proxyLoop = this.#keepProxy(null, bootstrap);
    });
    return true;
  }

  /** Records an exit that happened while nobody watched. */
  markExited(exit: ExitStatus): void {
    const { frozen: _, ...rest } = this.#status;
    this.#status = rest;
    this.#set({ phase: "exited", exit, message: exit.reason ?? rest.message });
    this.#exitSeen.resolve(exit);
  }

  async #startSandbox(validated: Validated): Promise<void> {
    const dirs = directoriesOf(this.#context.runDir, this.hash);
    for (const name of ["tmux.sock", EXIT_FILE]) await removeIfThere(`${dirs.tmux}/${name}`);
    const { failed, gone } = startTmuxCell(
      validated.plan,
      dirs,
      undefined,
      this.#enter("agent", validated.limits),
    );
    this.#gone = gone;
    let ended: string | null = null;
    failed.then((why) => ended = why);
    const deadline = this.#context.clock.now() + START_MS;
    while (true) {
      // Looked at before the pane: the client that starts the server ends as soon as it serves.
      const over = ended;
      const pane = await this.#tmux.pane();
      if (pane !== null) break;
      if (over !== null || this.#context.clock.now() > deadline) {
        const said = await Deno.readTextFile(`${dirs.cell}/tmux.log`).catch(() => "");
        throw new LauncherError(
          "cell-failed",
          `Cannot start "${this.localpart}": its cell ${over ?? "did not answer"}: ${
            said.trim().split("\n").at(-1) ?? ""
          }`,
          { hint: "`deno task up` runs the preflight, which says what this machine lacks" },
        );
      }
      await this.#context.clock.sleep(5);
    }
    this.#set({ phase: "running" });
    this.#watch();
  }

  #watch(): void {
    (async () => {
      const exit = await this.#awaitExit();
      if (exit === null) return;
      await this.#tellAppeared();
      // On disk before anybody hears of it: whoever hears of it may start the next one at once, and its
      // journal entry must not be written over.
      await this.#context.exited(this, exit);
      this.markExited(exit);
    })().catch((thrown) =>
      this.#context.log.error("cannot watch a sandbox", {
        principal: this.localpart,
        why: messageOf(thrown),
      })
    );
  }

  /**
   * A terminal server that is late on an overloaded machine is asked again: its silence is no end.
   * @returns null when there is none
   */
  async #pane(): Promise<PaneState | null> {
    for (let late = 1;; late++) {
      try {
        return await this.#tmux.pane();
      } catch (thrown) {
        if (this.#stop.signal.aborted || late === LATE_TRIES) throw thrown;
        this.#context.log.warn("a terminal server is late", { principal: this.localpart });
      }
    }
  }

  /** @returns null when it was told to stop watching */
  async #awaitExit(): Promise<ExitStatus | null> {
    while (true) {
      // Waiting comes before looking: a death in between is seen by the look.
      const died = this.#tmux.died(this.#stop.signal);
      // The pane first: a dead one has written its code, and its own status is only its last command's.
      const pane = await this.#pane();
      const said = await this.#exitCode();
      if (this.#stop.signal.aborted) return null;
      if (said !== null || pane === null || pane.dead) {
        // A server that is gone was killed: 137, as a shell would say.
        const code = said ?? pane?.status ?? (pane === null ? 137 : 128 + (pane.signal ?? 127));
        const usage = code === 0 ? null : await this.#usage();
        const reason = usage === null ? null : limitReached(usage, code);
        return {
          code,
          signal: code > 128 && code < 128 + 64 ? code - 128 : null,
          at: this.#context.clock.now(),
          output: pane === null ? [] : await this.#tmux.capture(OUTPUT_LINES).catch(() => []),
          ...(reason === null ? {} : { reason }),
        };
      }
      await died;
      if (this.#stop.signal.aborted) return null;
    }
  }

  async #tellAppeared(): Promise<void> {
    const { cell } = directoriesOf(this.#context.runDir, this.hash);
    await tellAppeared(cell, this.localpart, this.#context.log);
  }

  /** What the pane wrote when the sandbox ended. */
  async #exitCode(): Promise<number | null> {
    const { tmux } = directoriesOf(this.#context.runDir, this.hash);
    const text = await readIfThere(`${tmux}/${EXIT_FILE}`);
    return text === null || !/^\d+\s*$/.test(text) ? null : Number(text);
  }

  async #startProxy(bootstrap: ProxyBootstrap): Promise<void> {
    this.#proxy = await this.#launchProxy(bootstrap);
    this.#set({ proxy: { ...this.#status.proxy, ready: true } }, "proxy");
    this.#proxyLoop = this.#keepProxy(this.#proxy, bootstrap);
  }

  async #launchProxy(bootstrap: ProxyBootstrap): Promise<ServiceCell> {
    const dirs = directoriesOf(this.#context.runDir, this.hash);
    return await startServiceCell(
      "proxy",
      this.#context.runtimeDir,
      (["agent", "admin", "egress"] as const).map((name) => ({
        source: dirs[name],
        dest: `/run/bureau/${name}`,
      })),
      bootstrap,
      (line) => this.#context.log.info("proxy says", { principal: this.localpart, line }),
      this.#context.auditDir,
      this.#enter("proxy", SERVICE_LIMITS),
    );
  }

  /** A proxy that dies is made again from the same document; the agent lives on (W-39). */
  async #keepProxy(first: ServiceCell | null, bootstrap: ProxyBootstrap): Promise<void> {
    let cell = first;
    let backoff = BACKOFF_FIRST_MS;
    const { clock, log } = this.#context;
    while (!this.#stop.signal.aborted) {
      const since = clock.now();
      if (cell !== null) await cell.exited;
      if (this.#stop.signal.aborted) return;
      if (clock.now() - since > STABLE_MS) backoff = BACKOFF_FIRST_MS;
      const restarts = this.#status.proxy.restarts + 1;
      this.#set({ proxy: { ready: false, restarts } }, "proxy");
      log.warn("proxy ended, restarting", { principal: this.localpart, restarts });
      await clock.sleep(backoff, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      backoff = Math.min(backoff * 2, BACKOFF_LAST_MS);
      try {
        cell = await this.#launchProxy(bootstrap);
        this.#proxy = cell;
        if (this.#stop.signal.aborted) return cell.kill("SIGKILL");
        this.#set({ proxy: { ready: true, restarts } }, "proxy");
      } catch (thrown) {
        cell = null;
        log.error("proxy could not be restarted", {
          principal: this.localpart,
          why: messageOf(thrown),
        });
      }
    }
  }

  #enter(part: "agent" | "proxy" | "relay", limits: Limits): Enter | undefined {
    const { cgroups } = this.#context;
    if (cgroups === null) return undefined;
    return (pid) => cgroups.enter(this.hash, part, pid, limits);
  }

  async #usage(): Promise<Usage | null> {
    return await this.#context.cgroups?.usage(this.hash) ?? null;
  }

  /** @throws {LauncherError} where nothing counts it */
  async usage(): Promise<Usage> {
    const usage = await this.#usage();
    if (usage !== null) return usage;
    throw this.#noCgroups("tell what it uses");
  }

  #noCgroups(what: string): LauncherError {
    return new LauncherError(
      "no-cgroups",
      `Cannot ${what} of "${this.localpart}": it has no control group`,
      { status: 409, hint: "`bureau doctor` says what this machine lacks for it" },
    );
  }

  #requireRunning(what: string): Cgroups {
    const { cgroups } = this.#context;
    if (cgroups === null) throw this.#noCgroups(`${what} the processes`);
    if (this.#status.phase === "running") return cgroups;
    throw new LauncherError(
      "not-running",
      `Cannot ${what} "${this.localpart}": it is ${this.#status.phase}`,
      { status: 409, hint: "`bureau agent show` says why" },
    );
  }

  /** Every process of the sandbox stops in its tracks, or goes on. */
  async freeze(frozen: boolean): Promise<Status> {
    await this.#requireRunning(frozen ? "freeze" : "thaw").freeze(this.hash, frozen);
    if (frozen !== (this.#status.frozen ?? false)) this.#set({ frozen });
    return this.#status;
  }

  /** Every process of the sandbox, at once. How it ended is seen as any other end. */
  async kill(): Promise<void> {
    await this.#requireRunning("kill").kill(this.hash);
  }

  /** @returns the host path of a relay that listens now */
  async relay(): Promise<string> {
    if (this.#status.phase !== "running") {
      throw new LauncherError(
        "not-running",
        `Cannot observe "${this.localpart}": it is ${this.#status.phase}`,
        { status: 409, hint: "`bureau agent show` says why" },
      );
    }
    if (this.#status.frozen === true) {
      throw new LauncherError("frozen", `Cannot observe "${this.localpart}": it is frozen`, {
        status: 409,
        hint: "`bureau agent thaw` lets it go on",
      });
    }
    const dirs = directoriesOf(this.#context.runDir, this.hash);
    const document: RelayBootstrap = {
      version: 1,
      principal: this.localpart,
      machine: this.#context.machine,
      session: SESSION,
      idle_ms: RELAY_IDLE_MS,
    };
    this.#relay ??= startServiceCell(
      "relay",
      this.#context.runtimeDir,
      [
        { source: dirs.observe, dest: "/run/bureau/observe" },
        { source: dirs.tmux, dest: "/run/bureau/tmux" },
      ],
      document,
      (line) => this.#context.log.info("relay says", { principal: this.localpart, line }),
      this.#context.auditDir,
      this.#enter("relay", SERVICE_LIMITS),
    ).then((cell) => {
      cell.exited.then(() => this.#relay = null);
      return cell;
    });
    try {
      await this.#relay;
    } catch (thrown) {
      this.#relay = null;
      throw thrown;
    }
    return `${dirs.observe}/relay.sock`;
  }

  /** Ends our children without touching the agent: what a launcher does when it stops. */
  async release(): Promise<void> {
    this.#stop.abort();
    this.#proxy?.kill("SIGTERM");
    await this.#proxyLoop;
    const relay = await this.#relay?.catch(() => null);
    relay?.kill("SIGKILL");
  }

  /** Ends everything and removes the directory. */
  async destroy(graceMs: number): Promise<void> {
    if (this.#status.frozen === true) await this.freeze(false).catch(() => {});
    if (this.#status.phase === "running") {
      this.#set({ phase: "stopping" });
      // A terminal server that is late gets no polite word; ending it decides.
      const pane = graceMs > 0 ? await this.#tmux.pane().catch(() => null) : null;
      if (pane !== null && !pane.dead) {
        await this.#tmux.shell(`sh /cell/stop.sh ${pane.pid}`).catch(() => {});
        const enough = new AbortController();
        await Promise.race([
          this.#exitSeen.promise.catch(() => {}),
          this.#context.clock.sleep(graceMs, enough.signal).catch(() => {}),
        ]);
        enough.abort();
      }
    }
    const enough = new AbortController();
    this.#stop.abort();
    await this.#tmux.kill();
    this.#proxy?.kill("SIGKILL");
    await this.#proxy?.exited;
    await this.#proxyLoop;
    const isGone = await Promise.race([
      this.#gone.then(() => true),
      this.#context.clock.sleep(GONE_MS, enough.signal).then(() => false, () => false),
    ]);
    enough.abort();
    if (!isGone) {
      // Its directories are bound into what still runs: they stay until it is known to be gone.
      throw new LauncherError(
        "still-running",
        `Cannot remove "${this.localpart}": its processes have not ended`,
        { status: 503, hint: "it is tried again; a process that waits for a disk can't be ended" },
      );
    }
    const relay = await this.#relay?.catch(() => null);
    relay?.kill("SIGKILL");
    await relay?.exited;
    this.#exitSeen.reject(
      new LauncherError("destroyed", `Cannot wait for "${this.localpart}": it was destroyed`, {
        status: 410,
      }),
    );
    await this.#tellAppeared();
    await this.#context.cgroups?.remove(this.hash);
    await removeDirectories(this.#context.runDir, this.hash);
  }
}
