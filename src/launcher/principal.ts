// SPDX-License-Identifier: Apache-2.0

/** One principal: its proxy, its sandbox, its relay, and everything that may happen to them. */
import { type Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import type { HealthCheck } from "../lib/schema/health.ts";
import type { Tmux } from "../lib/tmux/mod.ts";
import { EXIT_FILE } from "../sandbox/mod.ts";
import type { ProxyBootstrap } from "../proxy/api.ts";
import type { ExitStatus, Principal as Status, Usage } from "./api.ts";
import { startTmuxCell, tmuxClient } from "./cells.ts";
import {
  directoriesOf,
  makeDirectories,
  removeDirectories,
  writeCellFiles,
} from "./directories.ts";
import { isFrozen, LauncherError, noCgroups, notRunning } from "./errors.ts";
import { awaitExit, patientPane } from "./exit.ts";
import { type Limits, SERVICE_LIMITS } from "./limits.ts";
import type { Cgroups } from "./limits_cell.ts";
import type { Enter } from "./limits_enter.ts";
import { removeIfThere } from "./files.ts";
import { Ending } from "./ending.ts";
import { monitorHealth } from "./health/monitor.ts";
import { OUTPUT_LINES, presentable, secretsOf, withSecretsOf, withValues } from "./output.ts";
import { awaitPane } from "./pane.ts";
import { PrincipalProxy } from "./principal_proxy.ts";
import { Relay, type RelayOptions } from "./relay.ts";
import { PayloadFile } from "./payload.ts";
import type { RotatedCredentials } from "./rotated.ts";
import { firstStatus, type Origin } from "./status.ts";
import type { Validated } from "./validate.ts";
import { tellAppeared } from "./watched.ts";

/** After its server was told to end, a cell is gone in milliseconds; what is not is killed by its control group. */
const POLITE_GONE_MS = 2_000;
const GONE_MS = 15_000;

export interface PrincipalContext extends Pick<RelayOptions, "recordings" | "relayTurns"> {
  readonly runDir: string;
  readonly runtimeDir: string;
  readonly machine: string;
  /** See `LauncherBootstrap.audit_dir`. */
  readonly auditDir: string | undefined;
  /** Null where the machine gave us no place for control groups. */
  readonly cgroups: Cgroups | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** What their proxies were given in the place of sealed tokens. */
  readonly rotated: RotatedCredentials;
  readonly nextRevision: () => number;
  /** Told after each change of `status`. */
  readonly changed: (type: "principal" | "proxy", principal: Principal) => void;
  /** Told once, before `changed`, when the sandbox has exited. */
  readonly exited: (principal: Principal, exit: ExitStatus, givenUp: boolean) => Promise<void>;
}

export class Principal {
  readonly localpart: string;
  readonly hash: string;
  /** See `Validated`. */
  readonly sealedIn: string;
  readonly #context: PrincipalContext;
  readonly #tmux: Tmux;
  readonly #payload: PayloadFile;
  readonly #ending: Ending;
  /** Sealed values, which its output must not show. Secret. */
  #secrets: readonly string[];
  readonly #stop = new AbortController();
  readonly #exitSeen = Promise.withResolvers<ExitStatus>();
  readonly #recording: Validated["spec"]["recording"];
  #status: Status;
  #proxy: PrincipalProxy | null = null;
  #relay: Relay | null = null;
  /** Resolves when no process of the tmux cell is left; only known of a cell that we started. */
  #gone: Promise<void> | null = null;

  constructor(
    validated: Pick<
      Validated,
      "localpart" | "userId" | "spec" | "specDigest" | "credentialsDigest" | "bundle" | "sealedIn"
    >,
    origin: Origin,
    context: PrincipalContext,
  ) {
    this.localpart = validated.localpart;
    this.hash = origin.hash;
    this.sealedIn = validated.sealedIn;
    this.#context = context;
    const { cell, tmux } = directoriesOf(context.runDir, origin.hash);
    this.#tmux = tmuxClient(tmux);
    this.#payload = new PayloadFile(cell, this.#tmux, validated.localpart, context.log);
    this.#exitSeen.promise.catch(() => {});
    this.#ending = new Ending(this.#tmux, this.#exitSeen.promise, context.clock, this.#stop.signal);
    this.#secrets = secretsOf(validated.bundle);
    this.#recording = validated.spec.recording;
    this.#status = firstStatus(validated, origin, context.nextRevision());
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
      this.#proxy = this.#newProxy(bootstrap);
      await this.#proxy.start();
      await this.#startSandbox(validated);
    } catch (thrown) {
      this.#set({ phase: "failed", message: messageOf(thrown) });
      throw thrown;
    }
  }

  /** Puts in place what a newer assignment changes of a sandbox that runs. */
  async update(
    validated: Pick<Validated, "spec">,
    issuedAt: number,
    document: ProxyBootstrap,
  ): Promise<void> {
    // A later proxy starts with what is granted now, not with what was when the first one was made.
    this.#proxy?.follow(document);
    await this.#payload.put(validated.spec, this.#status.frozen === true);
    this.#set({ issued_at: issuedAt });
  }

  /** Takes over a sandbox that outlived an earlier launcher; only its proxy is made anew. */
  async adopt(bootstrap: ProxyBootstrap, validated: Pick<Validated, "spec">): Promise<boolean> {
    const usage = await this.#usage();
    // Its tmux is frozen with it and would not answer.
    if (usage?.frozen === true) await this.#context.cgroups!.freeze(this.hash, false);
    const pane = await patientPane(this.#tmux, this.#stop.signal, () => this.#late());
    if (pane === null) return false;
    if (usage === null && this.#context.cgroups !== null) {
      this.#context.log.warn("a running principal has no limits until it is started anew", {
        principal: this.localpart,
      });
    }
    this.#set({ phase: "running" });
    await this.#payload.put(validated.spec, usage?.frozen === true, true);
    if (usage?.frozen === true) await this.freeze(true);
    this.#watch();
    this.#proxy = this.#newProxy(bootstrap);
    await this.#proxy.startOrRetry();
    return true;
  }

  /** Records an exit that happened while nobody watched. */
  markExited(exit: ExitStatus): void {
    const { frozen: _, health: _h, ...rest } = this.#status;
    this.#status = rest;
    this.#stop.abort();
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
    await awaitPane({
      ...{ failed, tmux: this.#tmux, principal: this.localpart },
      ...{ logFile: `${dirs.cell}/tmux.log`, clock: this.#context.clock },
    });
    this.#set({ phase: "running" });
    this.#watch();
  }

  #watch(): void {
    this.#keepRelay();
    (async () => {
      const exit = await awaitExit(this.#tmux, {
        tmuxDir: directoriesOf(this.#context.runDir, this.hash).tmux,
        stop: this.#stop.signal,
        usage: () => this.#usage(),
        clock: this.#context.clock,
        onLate: () => this.#late(),
        presentable: (lines) => presentable(lines, this.#secrets),
      });
      if (exit === null) return;
      void this.#relay?.end("the program ended");
      await this.#tellAppeared();
      // On disk before anybody hears of it: whoever hears of it may start the next one at once, and its
      // journal entry must not be written over.
      const final = this.#ending.final(exit);
      await this.#context.exited(this, final, this.#ending.isGivenUp);
      this.markExited(final);
    })().catch((thrown) =>
      this.#context.log.error("cannot watch a sandbox", {
        principal: this.localpart,
        why: messageOf(thrown),
      })
    );
  }

  /** @param onProven see `Monitored` */
  followHealth(check: HealthCheck, onProven: () => Promise<void>): void {
    monitorHealth({
      check,
      tmuxDir: directoriesOf(this.#context.runDir, this.hash).tmux,
      startedAt: this.#status.started_at,
      clock: this.#context.clock,
      isFrozen: () => this.#status.frozen === true,
      onChange: (health) => this.#status.phase === "running" && this.#set({ health }),
      onProven,
      onUnhealthy: (why) => {
        this.#context.log.warn("giving up a sandbox", { principal: this.localpart, why });
        return this.#ending.giveUp(why);
      },
    }, this.#stop.signal).catch((thrown) =>
      this.#context.log.error("cannot follow the health of a sandbox", {
        principal: this.localpart,
        why: messageOf(thrown),
      })
    );
  }

  #late(): void {
    this.#context.log.warn("a terminal server is late", { principal: this.localpart });
  }

  async #tellAppeared(): Promise<void> {
    const { cell } = directoriesOf(this.#context.runDir, this.hash);
    await tellAppeared(cell, this.localpart, this.#context.log);
  }

  /** Other credentials for its proxy, while its sandbox goes on. */
  async renew(
    { bundle, credentialsDigest }: Pick<Validated, "bundle" | "credentialsDigest">,
    bootstrap: ProxyBootstrap,
  ): Promise<void> {
    this.#secrets = withSecretsOf(bundle, this.#secrets);
    // Not waited for: a relay that hangs must not keep new credentials from the proxy.
    void this.#relay?.renewSecrets();
    await this.#proxy?.renew(bootstrap);
    this.#set({ credentials_digest: credentialsDigest });
  }

  /** For the next proxy; whoever gives rights tells the present one. @returns whether they are others */
  setRights(rights: ProxyPolicy): boolean {
    return this.#proxy?.setRights(rights) ?? false;
  }

  #newProxy(bootstrap: ProxyBootstrap): PrincipalProxy {
    return new PrincipalProxy(bootstrap, {
      ...this.#context,
      principal: this.localpart,
      hash: this.hash,
      enter: this.#enter("proxy", SERVICE_LIMITS),
      onChange: (proxy) => this.#set({ proxy }, "proxy"),
      onTokens: (values) => {
        this.#secrets = withValues(values, this.#secrets);
        void this.#relay?.renewSecrets();
      },
    });
  }

  #enter(part: "agent" | "proxy" | "relay", limits: Limits): Enter | undefined {
    const { cgroups } = this.#context;
    if (cgroups === null) return undefined;
    return (pid) => cgroups.enter(this.hash, part, pid, limits);
  }

  /** What stands on its terminal; null while it does not run. A frozen one's is frozen with it. */
  async output(): Promise<string[] | null> {
    const { phase, frozen } = this.#status;
    if (phase !== "running" || frozen === true) return null;
    return presentable(await this.#tmux.capture(OUTPUT_LINES), this.#secrets);
  }

  async #usage(): Promise<Usage | null> {
    return await this.#context.cgroups?.usage(this.hash) ?? null;
  }

  /** @throws {LauncherError} where nothing counts it */
  async usage(): Promise<Usage> {
    const usage = await this.#usage();
    if (usage !== null) return usage;
    throw noCgroups(this.localpart, "tell what it uses");
  }

  #requireRunning(what: string): Cgroups {
    const { cgroups } = this.#context;
    if (cgroups === null) throw noCgroups(this.localpart, `${what} the processes`);
    if (this.#status.phase === "running") return cgroups;
    throw notRunning(this.localpart, what, this.#status.phase);
  }

  /** Every process of the sandbox stops in its tracks, or goes on. */
  async freeze(frozen: boolean): Promise<Status> {
    await this.#requireRunning(frozen ? "freeze" : "thaw").freeze(this.hash, frozen);
    if (frozen !== (this.#status.frozen ?? false)) this.#set({ frozen });
    if (!frozen) await this.#payload.thawed();
    return this.#status;
  }

  /** Every process of the sandbox, at once. How it ended is seen as any other end. */
  async kill(): Promise<void> {
    await this.#requireRunning("kill").kill(this.hash);
  }

  /** @returns the host path of a relay that listens now */
  async relay(): Promise<string> {
    const { phase, frozen } = this.#status;
    if (phase !== "running") throw notRunning(this.localpart, "observe", phase);
    if (frozen === true) throw isFrozen(this.localpart, "observe");
    return await this.#keepRelay().open();
  }

  #keepRelay(): Relay {
    this.#relay ??= new Relay({
      ...this.#context,
      principal: this.localpart,
      dirs: directoriesOf(this.#context.runDir, this.hash),
      enter: this.#enter("relay", SERVICE_LIMITS),
      hash: this.hash,
      recording: this.#recording,
      secrets: () => this.#secrets,
    });
    return this.#relay.keep();
  }

  /** Ends our children without touching the agent: what a launcher does when it stops. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#proxy?.end("SIGTERM");
    await this.#relay?.end("the relay stops");
  }

  /** Whether every process of the sandbox is known to be gone by then. */
  async #endsWithin(ms: number): Promise<boolean> {
    if (this.#gone === null) return false;
    const enough = new AbortController();
    const isGone = await Promise.race([
      this.#gone.then(() => true),
      this.#context.clock.sleep(ms, enough.signal).then(() => false, () => false),
    ]);
    enough.abort();
    return isGone;
  }

  /** Ends everything and removes the directory. */
  async destroy(graceMs: number): Promise<void> {
    if (this.#status.frozen === true) await this.freeze(false).catch(() => {});
    if (this.#status.phase === "running") {
      this.#set({ phase: "stopping" });
      if (graceMs > 0) await this.#ending.ask("TERM", graceMs);
    }
    this.#stop.abort();
    await this.#tmux.kill();
    await this.#proxy?.end("SIGKILL");
    if (!await this.#endsWithin(POLITE_GONE_MS)) {
      // A program that was about to start when its terminal went has not heard of it.
      await this.#context.cgroups?.kill(this.hash).catch(() => {});
    }
    if (this.#gone !== null && !await this.#endsWithin(GONE_MS)) {
      // Its directories are bound into what still runs: they stay until it is known to be gone.
      throw new LauncherError(
        "still-running",
        `Cannot remove "${this.localpart}": its processes have not ended`,
        { status: 503, hint: "it is tried again; a process that waits for a disk can't be ended" },
      );
    }
    await this.#relay?.end("the session ended");
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
