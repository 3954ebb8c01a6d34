// SPDX-License-Identifier: Apache-2.0

/**
 * Workers of workers. A worker with `nested_spawn` asks its parent for one, and the parent starts it: in walls of its own,
 * beside the worker that asked, with no more than that one has. So all of a tree are one process's, which counts them.
 */
import type { Clock } from "../../lib/clock.ts";
import { ParentError } from "../parent/errors.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import { Door, type Lineage, type Spawning } from "./door.ts";

/** Of one parent at one time, at whatever depth: each is a sandbox. */
export const MAX_AT_ONCE = 8;

/** Those whose sockets the process `parent` may reach (tasks/grants.txt). */
const NAMES = Array.from({ length: MAX_AT_ONCE }, (_, n) => `n${n}`);

export interface NestOptions {
  readonly launcher: WorkerLauncher;
  /** Where each has a fabric_dir, by its name. */
  readonly dir: string;
  readonly clock?: Clock;
  readonly registrationMs?: number;
  /** Absent: its own. */
  readonly names?: Names;
}

/** Each borne by one at a time. */
export class Names {
  readonly #free = new Set(NAMES);

  /** @throws {ParentError} `too-many`: nobody waits for one, who may hold one itself */
  take(): string {
    const [name] = this.#free;
    if (name === undefined) {
      throw new ParentError(
        "too-many",
        `Cannot spawn a worker: ${MAX_AT_ONCE} are at work already`,
        "wait for one of them to end",
      );
    }
    this.#free.delete(name);
    return name;
  }

  /** Nothing of its bearer is left. */
  giveBack(name: string): void {
    this.#free.add(name);
  }
}

export class Nest implements Spawning {
  readonly options: NestOptions;
  readonly names: Names;

  constructor(options: NestOptions) {
    this.options = options;
    this.names = options.names ?? new Names();
  }

  open(spec: ProvisionSpec, lineage: Lineage | null = null): Promise<Door> {
    return Door.open(spec, this, lineage);
  }

  /** For whoever holds the nest: it asks by calling, and nobody else at all. */
  within(spec: ProvisionSpec): Door {
    return new Door(spec, this, null);
  }
}
