// SPDX-License-Identifier: Apache-2.0

/**
 * Brings a dev box up in order, keeps it up, takes it down in order. Matrix and git are not spoken
 * here: the one-shot `bureau` commands do that with their own permissions.
 */
import { systemClock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { createClient } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import type { NotifyTarget } from "../lib/config/mod.ts";
import { type Paths, pathsOf } from "../lib/process/mod.ts";
import { launcherApi, type PreflightReport } from "../launcher/api.ts";
import type { ReleaseStatus, SupervisorStatus } from "./api.ts";
import type { Identity } from "./child.ts";
import { Commands } from "./commands.ts";
import { EXAMPLE_AGENT, startExample } from "./example.ts";
import { diskError, type Identities, makeDirectories, rootIdentities } from "./directories.ts";
import { SupervisorError } from "./errors.ts";
import { knownServerName, type RegistrationSecret, registrationSecret } from "./files.ts";
import { notifySource } from "./notify.ts";
import { metricsFields } from "./metrics.ts";
import { peerFields } from "./peer.ts";
import type { UpOptions } from "./options.ts";
import { type Membership, membershipOf } from "./joined.ts";
import { Processes, type ProcessName } from "./processes.ts";
import { installAgents, installRuntime } from "./runtime.ts";
import { chooseRuntime } from "./update/choose.ts";
import { verifyRelease } from "./update/release.ts";

export const SERVER_NAME = "bureau.local";
export const NAMESPACE = "bureau";
export const FLEET = "dev";

/** How long an agent may take to end politely when everything goes down. */
const AGENT_GRACE_MS = 3_000;

export class DevBox {
  readonly #options: UpOptions;
  readonly #paths: Paths;
  readonly #commands: Commands;
  readonly #log: Logger;
  readonly #machine: string;
  readonly #startedAt = systemClock.now();
  readonly processes: Processes;
  /** By which the daemon that we start knows us. Secret. */
  readonly token = crypto.getRandomValues(new Uint8Array(32)).toHex();
  /** By which the embedded homeserver tells the daemon how it does. */
  readonly #metricsToken = crypto.getRandomValues(new Uint8Array(32)).toHex();
  readonly #notify: () => NotifyTarget[];
  /** Set by whoever makes upgrades possible. */
  releases: (() => ReleaseStatus) | null = null;
  #identities: Identities | null = null;
  #state: SupervisorStatus["state"] = "starting";
  #failure: BureauError | null = null;
  #serverName = SERVER_NAME;
  /** Null: this machine has a fleet of its own. */
  #membership: Membership | null = null;
  #note: string | null = null;

  constructor(options: UpOptions, machine: string, log: Logger) {
    this.#options = options;
    this.#paths = pathsOf(options);
    this.#commands = new Commands(options);
    this.#machine = machine;
    this.#log = log;
    this.#notify = notifySource(options.stateDir, log);
    this.processes = new Processes(this.#commands, this.#paths.logs, log);
  }

  get status(): SupervisorStatus {
    return {
      pid: Deno.pid,
      started_at: this.#startedAt,
      state: this.#state,
      message: this.#failure?.message ?? null,
      hint: this.#failure?.hint ?? null,
      homeserver_url: this.#commands.homeserverUrl,
      state_dir: this.#options.stateDir,
      run_dir: this.#options.runDir,
      agent: this.#options.agent && this.#membership === null ? EXAMPLE_AGENT : null,
      processes: this.processes.statuses,
      ...(this.releases === null ? {} : { release: this.releases() }),
    };
  }

  /** What a person should know of the build that everything is started from; null: nothing. */
  get note(): string | null {
    return this.#note;
  }

  /** User id of this machine. */
  get machine(): string {
    const machine = this.#membership?.fleet.machine ??
      `${NAMESPACE}/fleet/${FLEET}/machine/${this.#machine}`;
    return `@${machine}:${this.#serverName}`;
  }

  /** What everything is started from. */
  get runtime(): string {
    return this.#commands.runtime;
  }

  /** See `Commands.spawnSuccessor`. */
  async spawnSuccessor(
    dir: string,
    digest: string,
    args: readonly string[],
  ): Promise<Deno.ChildProcess> {
    await this.#commands.load(dir);
    return this.#commands.spawnSuccessor(dir, digest, args);
  }

  /** See `Commands.followRoom`. */
  followRoom(room: string, ended: Promise<void>): { done: Promise<void> } {
    return this.#commands.followRoom(room, ended);
  }

  /** Directories and runtime: what has to be there before the supervisor can even listen. */
  async prepare(): Promise<void> {
    if (Deno.uid() === 0) {
      this.#identities = rootIdentities(await Deno.readTextFile("/etc/passwd"));
      this.#commands.launcherIdentity = this.#identities.launcher;
    }
    await makeDirectories(this.#options, this.#identities);
    const { release } = this.#options;
    const { dir, install } = release === null
      ? await chooseRuntime(this.#paths, this.#options.distDir, (note) => this.#note = note)
      : { dir: await verifyRelease(this.#paths.releases, release), install: false };
    if (install) {
      await installRuntime(`${this.#options.distDir}/runtime`, dir, Deno.execPath());
    }
    await installAgents(`${this.#options.distDir}/agents`, this.#paths.agents);
    await this.#commands.use(dir);
    this.#membership = await membershipOf(this.#paths.operator, this.#options.joinFile);
    if (this.#membership !== null) this.#serverName = this.#membership.fleet.server_name;
  }

  /** @returns the findings of a short-lived launcher, the only process that may run bwrap */
  async preflight(): Promise<PreflightReport> {
    const line = await this.#commands.oneShot("launcher", [], this.#launcherBootstrap("preflight"));
    return line as unknown as PreflightReport;
  }

  /** @param progress told about each step, for a person who waits */
  async start(progress: (step: string) => void): Promise<void> {
    try {
      await this.#startAll(progress);
      this.#state = "ready";
    } catch (thrown) {
      const error = diskError(this.#options.stateDir, thrown);
      this.#failure = error instanceof BureauError
        ? error
        : new SupervisorError("start-failed", `Cannot start Bureau: ${messageOf(error)}`);
      this.#state = "failed";
      throw this.#failure;
    }
  }

  async #startAll(progress: (step: string) => void): Promise<void> {
    if (this.#membership !== null) return await this.#startMember(this.#membership, progress);
    const secret = await registrationSecret(
      this.#options.registrationTokenFile,
      this.#paths.operator,
    );
    this.#serverName = await knownServerName(this.#paths.operator) ?? SERVER_NAME;
    this.#commands.homeserverUrl = this.#options.homeserver;
    if (this.#options.homeserver === null) {
      progress("homeserver");
      const { hostname, port } = this.#options.listen;
      await this.#supervise("homeserver", this.#identities?.homeserver, () =>
        Promise.resolve({
          version: 1,
          listen: { hostname, port },
          server_name: SERVER_NAME,
          state_dir: this.#paths.homeserver,
          registration_shared_secret: secret.value,
          metrics_token: this.#metricsToken,
        }));
      this.#commands.homeserverUrl = `http://${hostname}:${port}`;
    }
    progress("launcher");
    await this.#startLauncher();
    progress("first boot (accounts, rooms, templates, keys)");
    const assumed = this.#serverName;
    await this.#boot(secret);
    if (this.#serverName !== assumed) {
      // Another homeserver has another name, and with it this machine: known only now.
      await this.processes.stop("launcher");
      await this.#startLauncher();
    }
    progress("daemon and web page");
    const page = { version: 1, socket: this.#paths.webSocket };
    await this.#supervise("web", this.#identities?.web, () => Promise.resolve(page));
    await this.#supervise("daemon", this.#identities?.daemon, () => this.#daemonBootstrap());
    if (this.#options.agent) {
      progress("example agent (clone, timestamp authority, assignment)");
      await startExample({
        ...{ options: this.#options, paths: this.#paths, commands: this.#commands },
        authority: (bootstrap) =>
          this.#supervise("authority", this.#identities?.authority, bootstrap),
      });
    }
  }

  /** A machine of a fleet that an operator keeps elsewhere: no homeserver, no example. */
  async #startMember(
    { fleet, bootFile }: Membership,
    progress: (step: string) => void,
  ): Promise<void> {
    this.#commands.homeserverUrl = fleet.homeserver_url;
    progress("launcher");
    await this.#startLauncher();
    progress(bootFile === null ? `${fleet.machine}` : `${fleet.machine} (joining its fleet)`);
    const proof = bootFile === null ? null : await this.#commands.oneShot("launcher", [], {
      ...this.#launcherBootstrap("prove"),
      challenge: bootFile.challenge,
    });
    await this.#commands.oneShot("bureau", ["join"], {
      version: 1,
      boot_file: bootFile,
      machine_public_key: (await Deno.readTextFile(this.#paths.machineKeyPublic)).trim(),
      proof: proof?.["proof"] ?? null,
      state_dir: this.#options.stateDir,
      run_dir: this.#options.runDir,
      bind_roots: this.#bindRoots,
    });
    progress("daemon");
    await this.#supervise("daemon", this.#identities?.daemon, () => this.#daemonBootstrap());
  }

  /** Daemon first, so that it does not heal what is being taken down; then agents; then the rest. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    await this.processes.stop("daemon");
    const served = this.processes.runsFrom("launcher", this.processes.dirOf("launcher"));
    if (this.processes.has("launcher")) await this.#destroyPrincipals();
    for (const name of ["launcher", "web", "authority", "homeserver"] as const) {
      await this.processes.stop(name);
      // What the daemon had asked for a moment before it ended may have been started since.
      const late = name === "launcher" && served && await this.hasLeftovers();
      if (late) await this.stopLeftovers();
    }
  }

  #startLauncher(): Promise<void> {
    return this.#supervise(
      "launcher",
      this.#identities?.launcher,
      () => Promise.resolve(this.#launcherBootstrap("serve")),
    );
  }

  /** Ends agents that outlived a supervisor which was killed. @returns how many there were */
  async stopLeftovers(): Promise<number> {
    await this.#startLauncher();
    const count = await this.#destroyPrincipals();
    await this.processes.stop("launcher");
    return count;
  }

  /** Whether a run directory still holds principals of an earlier life. */
  async hasLeftovers(): Promise<boolean> {
    try {
      for await (const _ of Deno.readDir(this.#paths.principals)) return true;
      return false;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return false;
      throw thrown;
    }
  }

  /** Records why nothing was started. @returns the error, to throw */
  fail(error: BureauError): BureauError {
    this.#failure = error;
    this.#state = "failed";
    return error;
  }

  async #destroyPrincipals(): Promise<number> {
    const client = createClient(launcherApi, { socket: this.#paths.launcherSocket });
    try {
      const { principals } = await client.call("list");
      await Promise.all(
        principals.map(({ principal }) =>
          client.call("destroy", {
            params: { principal },
            query: { grace_ms: String(AGENT_GRACE_MS) },
          })
        ),
      );
      return principals.length;
    } catch (thrown) {
      this.#log.error("cannot stop the agents", { why: messageOf(thrown) });
      throw thrown;
    } finally {
      client.close();
    }
  }

  #supervise(
    name: ProcessName,
    identity: Identity | undefined,
    bootstrap: () => Promise<unknown>,
  ): Promise<void> {
    return this.processes.start(name, identity, bootstrap);
  }

  get #bindRoots() {
    return [
      { path: this.#paths.workspaces, mode: "rw" },
      { path: this.#paths.agents, mode: "ro" },
    ];
  }

  #launcherBootstrap(mode: "serve" | "preflight" | "prove"): Record<string, unknown> {
    return {
      version: 1,
      mode,
      run_dir: this.#options.runDir,
      state_dir: this.#options.stateDir,
      runtime_dir: this.processes.dirOf("launcher"),
      policy_path: this.#paths.policy,
      machine: this.machine,
      server_name: this.#serverName,
      ...(this.#options.cgroups === null ? {} : { cgroups: this.#options.cgroups }),
      ...(this.#options.auditDir === null ? {} : { audit_dir: this.#options.auditDir }),
    };
  }

  async #daemonBootstrap(): Promise<unknown> {
    const session = JSON.parse(await Deno.readTextFile(this.#paths.machineSession));
    const known = {
      ...session,
      ...await peerFields(this.#options.stateDir, this.#paths.policy),
      ...metricsFields(
        this.#options.stateDir,
        this.#options.homeserver === null && this.#membership === null ? this.#metricsToken : null,
      ),
      ...{ supervisor_token: this.token, notify: this.#notify() },
    };
    if (this.#membership !== null) return known;
    const { web: listen, webOrigins: origins } = this.#options;
    return { ...known, web: { socket: this.#paths.webSocket, listen, origins } };
  }

  async #boot(secret: RegistrationSecret): Promise<void> {
    const machinePublicKey = (await Deno.readTextFile(this.#paths.machineKeyPublic)).trim();
    const result = await this.#commands.oneShot("bureau", ["boot"], {
      version: 1,
      homeserver_url: this.#commands.homeserverUrl,
      ...(secret.kind === "shared"
        ? { registration_shared_secret: secret.value }
        : { registration_token: secret.value }),
      namespace: NAMESPACE,
      fleet: FLEET,
      machine: this.#machine,
      operator: "operator",
      machine_public_key: machinePublicKey,
      state_dir: this.#options.stateDir,
      run_dir: this.#options.runDir,
      bind_roots: this.#bindRoots,
    });
    if (typeof result["server_name"] === "string") this.#serverName = result["server_name"];
  }
}
