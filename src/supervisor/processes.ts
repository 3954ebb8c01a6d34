// SPDX-License-Identifier: Apache-2.0

/** The processes of a box, each started from a release of its own while an upgrade goes on. */
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { SupervisedProcess } from "./api.ts";
import { Child, type Identity } from "./child.ts";
import type { Commands } from "./commands.ts";

export type ProcessName = "homeserver" | "launcher" | "daemon" | "authority" | "web";

interface Known {
  readonly identity: Identity | undefined;
  readonly bootstrap: () => Promise<unknown>;
}

/** The daemon last: it is well only when all the others are. */
const REPLACED_IN_ORDER: readonly ProcessName[] = [
  "launcher",
  "homeserver",
  "authority",
  "web",
  "daemon",
];
const STARTED_IN_ORDER: readonly ProcessName[] = [
  "homeserver",
  "launcher",
  "authority",
  "web",
  "daemon",
];

export class Processes {
  readonly #commands: Commands;
  readonly #logs: string;
  readonly #log: Logger;
  readonly #children = new Map<ProcessName, Child>();
  readonly #known = new Map<ProcessName, Known>();
  readonly #dirs = new Map<ProcessName, string>();

  constructor(commands: Commands, logs: string, log: Logger) {
    this.#commands = commands;
    this.#logs = logs;
    this.#log = log;
  }

  get statuses(): SupervisedProcess[] {
    return [...this.#children.values()].map((child) => child.status);
  }

  /** What there is, in the order in which it is replaced. */
  get names(): ProcessName[] {
    return REPLACED_IN_ORDER.filter((name) => this.#children.has(name));
  }

  has(name: ProcessName): boolean {
    return this.#children.has(name);
  }

  /** Where `name` is started from. */
  dirOf(name: ProcessName): string {
    return this.#dirs.get(name) ?? this.#commands.runtime;
  }

  runsFrom(name: ProcessName, dir: string): boolean {
    return this.dirOf(name) === dir && this.#children.get(name)?.status.state === "running";
  }

  /** @param bootstrap built anew for each start; secret */
  async start(
    name: ProcessName,
    identity: Identity | undefined,
    bootstrap: () => Promise<unknown>,
  ): Promise<void> {
    this.#known.set(name, { identity, bootstrap });
    await this.#launch(name);
  }

  async #launch(name: ProcessName): Promise<void> {
    const { identity, bootstrap } = this.#known.get(name)!;
    const dir = this.dirOf(name);
    await this.#commands.load(dir);
    const child = new Child(
      {
        name,
        command: this.#commands.command(name, [], dir),
        env: this.#commands.environment(name),
        cwd: dir,
        ...(identity === undefined ? {} : { identity }),
        bootstrap,
        logFile: `${this.#logs}/${name}.log`,
      },
      systemClock,
      this.#log,
    );
    this.#children.set(name, child);
    await child.start();
  }

  async stop(name: ProcessName): Promise<void> {
    await this.#children.get(name)?.stop();
  }

  /** Ends it, and starts it from another release. */
  async replace(name: ProcessName, dir: string): Promise<void> {
    await this.stop(name);
    this.#dirs.set(name, dir);
    await this.#launch(name);
  }

  /** Ends everything that serves the agents, which live on. */
  async release(): Promise<void> {
    for (const name of STARTED_IN_ORDER.toReversed()) await this.stop(name);
  }

  /** Everything that was released, again, from one release. */
  async resume(dir: string): Promise<void> {
    for (const name of STARTED_IN_ORDER.filter((one) => this.#known.has(one))) {
      await this.replace(name, dir);
    }
  }
}
