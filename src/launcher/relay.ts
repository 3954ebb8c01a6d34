// SPDX-License-Identifier: Apache-2.0

/** A principal's observation relay: made when somebody watches, gone when nobody does. */
import type { RelayBootstrap } from "../observe/api.ts";
import type { Logger } from "../lib/log.ts";
import { SESSION } from "../lib/tmux/mod.ts";
import type { PrincipalDirectories } from "../sandbox/mod.ts";
import { type ServiceCell, startServiceCell } from "./cells.ts";
import type { Enter } from "./limits_enter.ts";

/** A relay ends itself after this long without a watcher. */
const IDLE_MS = 60_000;

export interface RelayOptions {
  readonly principal: string;
  readonly machine: string;
  readonly runtimeDir: string;
  readonly auditDir: string | undefined;
  readonly dirs: PrincipalDirectories;
  readonly enter: Enter | undefined;
  readonly log: Logger;
}

export class Relay {
  readonly #options: RelayOptions;
  #cell: Promise<ServiceCell> | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** @returns the host path of a relay that listens now */
  async open(): Promise<string> {
    this.#cell ??= this.#start();
    try {
      await this.#cell;
    } catch (thrown) {
      this.#cell = null;
      throw thrown;
    }
    return `${this.#options.dirs.observe}/relay.sock`;
  }

  async #start(): Promise<ServiceCell> {
    const { principal, machine, runtimeDir, auditDir, dirs, enter, log } = this.#options;
    const document: RelayBootstrap = {
      version: 1,
      principal,
      machine,
      session: SESSION,
      idle_ms: IDLE_MS,
    };
    const cell = await startServiceCell(
      "relay",
      runtimeDir,
      [
        { source: dirs.observe, dest: "/run/bureau/observe" },
        { source: dirs.tmux, dest: "/run/bureau/tmux" },
      ],
      document,
      (line) => log.info("relay says", { principal, line }),
      auditDir,
      enter,
    );
    cell.exited.then(() => this.#cell = null);
    return cell;
  }

  /** Resolves when it is gone. */
  async end(): Promise<void> {
    const cell = await this.#cell?.catch(() => null);
    cell?.kill("SIGKILL");
    await cell?.exited;
  }
}
