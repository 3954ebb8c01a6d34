// SPDX-License-Identifier: Apache-2.0

/** A worker that a worker asked for, as it is handed to that one: its questions go past it, and it ends with its run. */
import type { RunOutcome, RunRequest } from "../parent/connection.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import type { RunOptions, Worker } from "../parent/worker.ts";
import type { Attendance } from "./door.ts";

export class Child implements Worker {
  readonly spec: Worker["spec"];
  readonly record: Worker["record"];
  readonly exited: Worker["exited"];
  readonly isReusable = false;
  /** Resolves when nothing of it is left. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #above: Attendance;
  readonly #leave: () => Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  #isEnding = false;

  /** @param above the run that it came of @param leave takes away what is left of it */
  constructor(worker: Worker, above: Attendance, leave: () => Promise<void>) {
    this.#worker = worker;
    this.#above = above;
    this.#leave = leave;
    this.spec = worker.spec;
    this.record = worker.record;
    this.exited = worker.exited;
    this.ended = this.#ended.promise;
  }

  run(request: RunRequest, options: RunOptions = {}): Promise<RunOutcome> {
    const { approve, hear } = this.#above;
    return this.#worker.run(request, {
      ...options,
      onEvent: (event) => {
        hear();
        options.onEvent?.(event);
      },
      // Never by whoever asked for it: what it wants done it could have answered itself.
      onApproval: async (body, over) => {
        const answer = await approve(body, over);
        hear();
        return answer;
      },
    });
  }

  async end(): Promise<void> {
    if (!this.#isEnding) {
      this.#isEnding = true;
      await this.#worker.end();
      await this.#leave();
      this.#ended.resolve();
    }
    await this.ended;
  }
}

/** Also those that are starting when `signal` says that it is over. */
export function endedWith(signal: AbortSignal, launcher: WorkerLauncher): WorkerLauncher {
  return {
    launch: async (spec) => {
      const process = await launcher.launch(spec);
      const kill = () => process.kill();
      signal.addEventListener("abort", kill, { once: true });
      if (signal.aborted) kill();
      void process.exited.then(() => signal.removeEventListener("abort", kill));
      return process;
    },
  };
}
