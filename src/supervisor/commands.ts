// SPDX-License-Identifier: Apache-2.0

/** How the supervisor runs every other process: command line, environment, grants. */
import { telemetryOf } from "./metrics.ts";
import {
  denoArguments,
  type GrantValues,
  parseGrants,
  type Paths,
  pathsOf,
  type Role,
} from "../lib/process/mod.ts";
import type { Identity } from "./child.ts";
import { privilegeArguments, runOneShot } from "./oneshot.ts";
import type { UpOptions } from "./options.ts";

export class Commands {
  /** Set once it is known; the CLI's network grant follows from it. */
  homeserverUrl: string | null = null;
  /** Set when `up` is root. */
  launcherIdentity: Identity | undefined;
  readonly #options: UpOptions;
  readonly #paths: Paths;
  /** By directory. */
  readonly #grants = new Map<string, string>();
  #runtime: string;

  constructor(options: UpOptions) {
    this.#options = options;
    this.#paths = pathsOf(options);
    this.#runtime = this.#paths.runtime;
  }

  /** What is started from nowhere else is started from here. */
  get runtime(): string {
    return this.#runtime;
  }

  async use(runtime: string): Promise<void> {
    await this.load(runtime);
    this.#runtime = runtime;
  }

  /** Reads the grants of a release. */
  async load(dir: string): Promise<void> {
    this.#grants.set(dir, await Deno.readTextFile(`${dir}/grants.txt`));
  }

  #values(dir: string): GrantValues {
    const address = (at: { hostname: string; port: number }) => `${at.hostname}:${at.port}`;
    const homeserver = this.homeserverUrl === null ? null : new URL(this.homeserverUrl);
    return {
      STATE: this.#options.stateDir,
      RUN: this.#options.runDir,
      RUNTIME: dir,
      DENO: `${dir}/deno`,
      LISTEN: address(this.#options.listen),
      AUTHORITY: address(this.#options.authority),
      REPO: this.#options.repo,
      ...(homeserver === null ? {} : {
        HOMESERVER: `${homeserver.hostname}:${
          homeserver.port || (homeserver.protocol === "https:" ? 443 : 80)
        }`,
      }),
    };
  }

  /** @param dir a release that was loaded */
  command(role: Role, args: readonly string[] = [], dir = this.#runtime): string[] {
    const grants = parseGrants(this.#grants.get(dir)!, this.#values(dir));
    return [
      `${dir}/deno`,
      ...denoArguments(role, dir, grants),
      ...args,
    ];
  }

  /** Nothing of the caller's environment: a child gets what it needs on stdin. */
  environment(role: Role): Record<string, string> {
    return {
      PATH: "/usr/bin:/bin",
      HOME: "/nonexistent",
      // No cache directory is needed by a bundled process; a fixed one keeps Deno from making one in HOME.
      DENO_DIR: `${this.#paths.runtime}/none-${role}`,
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
      ...(role === "daemon" ? telemetryOf(this.#options.stateDir) : {}),
      ...(this.#options.auditDir === null
        ? {}
        : { DENO_AUDIT_PERMISSIONS: `${this.#options.auditDir}/${role}.jsonl` }),
    };
  }

  async oneShot(
    role: "launcher" | "bureau",
    args: readonly string[],
    document: unknown,
  ): Promise<Record<string, unknown>> {
    const identity = role === "launcher" ? this.launcherIdentity : undefined;
    const directories = [
      "--json",
      "--state-dir",
      this.#options.stateDir,
      "--run-dir",
      this.#options.runDir,
    ];
    return await runOneShot({
      name: [role, ...args].join(" "),
      command: this.command(role, role === "bureau" ? [...args, ...directories] : args),
      env: this.environment(role),
      cwd: this.#runtime,
      ...(identity === undefined ? {} : { identity }),
      document,
    });
  }

  /**
   * Shows a room's messages, and what agents ask for, on our own terminal until `ended`.
   *
   * @returns a promise of the follower's end, in an object so that it is not awaited here
   */
  followRoom(room: string, ended: Promise<void>): { done: Promise<void> } {
    const [program, ...args] = this.command("bureau", [
      "matrix",
      "messages",
      room,
      "--follow",
      "--asks",
      "--state-dir",
      this.#options.stateDir,
      "--run-dir",
      this.#options.runDir,
    ]);
    const process = new Deno.Command("/usr/bin/setpriv", {
      args: [...privilegeArguments(undefined), program!, ...args],
      cwd: this.#runtime,
      env: this.environment("bureau"),
      clearEnv: true,
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      detached: true,
    }).spawn();
    const exited = process.status;
    ended.then(() => {
      try {
        process.kill("SIGTERM");
      } catch {
        // It ended by itself.
      }
    });
    return { done: exited.then(() => {}) };
  }

  /**
   * A supervisor of another release, in a session of its own; it outlives us.
   * @param args everything but the way it is started
   */
  spawnSuccessor(dir: string, digest: string, args: readonly string[]): Deno.ChildProcess {
    const { stateDir, runDir, distDir, registrationTokenFile } = this.#options;
    const grants = parseGrants(this.#grants.get(dir)!, {
      STATE: stateDir,
      RUN: runDir,
      RUNTIME: distDir,
      DENO: `${dir}/deno`,
      ...(registrationTokenFile === null ? {} : { TOKENFILE: registrationTokenFile }),
    });
    return new Deno.Command("/usr/bin/setpriv", {
      args: [
        "--no-new-privs",
        "--",
        `${dir}/deno`,
        ...denoArguments("up", dir, grants),
        ...args,
        "--background",
        "--release",
        digest,
      ],
      cwd: dir,
      env: this.environment("up"),
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
  }

  /** The same supervisor again, in a session of its own, with nothing of this terminal. */
  spawnBackground(args: readonly string[]): Deno.ChildProcess {
    const { stateDir, runDir, distDir } = this.#options;
    const secretFile = this.#options.registrationTokenFile ?? this.#options.joinFile;
    const grants = parseGrants(
      Deno.readTextFileSync(`${distDir}/runtime/grants.txt`),
      {
        STATE: stateDir,
        RUN: runDir,
        RUNTIME: distDir,
        DENO: Deno.execPath(),
        ...(secretFile === null ? {} : { TOKENFILE: secretFile }),
      },
    );
    return new Deno.Command(Deno.execPath(), {
      args: [...denoArguments("up", `${distDir}/runtime`, grants), ...args],
      cwd: distDir,
      env: this.environment("up"),
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
  }
}
