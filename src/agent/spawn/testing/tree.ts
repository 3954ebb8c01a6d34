// SPDX-License-Identifier: Apache-2.0

/** Tests: a worker with a door, and what is asked there as by that worker. */
import type { WorkerLauncher } from "../../parent/launch.ts";
import type { ParentWorker } from "../../parent/parent.ts";
import { fromSource, PATIENCE_MS, Rig } from "../../parent/testing/rig.ts";
import type { Worker } from "../../parent/worker.ts";
import type { ProvisionInput, ProvisionSpec } from "../../provision/mod.ts";
import { askForWorker, Nest } from "../mod.ts";

/** A worker that may spawn, and every spec that anything was started with. */
export class Tree implements AsyncDisposable {
  readonly started: ProvisionSpec[] = [];
  readonly nest: Nest;

  private constructor(readonly rig: Rig, launcher: WorkerLauncher) {
    const recording: WorkerLauncher = {
      launch: (spec) => {
        this.started.push(spec);
        return launcher.launch(spec);
      },
    };
    this.launcher = recording;
    this.nest = new Nest({
      launcher: recording,
      dir: `${rig.dir}/n`,
      registrationMs: PATIENCE_MS,
    });
  }
  readonly launcher: WorkerLauncher;

  static async make(launcher: WorkerLauncher = fromSource): Promise<Tree> {
    return new Tree(await Rig.make(), launcher);
  }

  start(more: Partial<ProvisionInput> = {}): Promise<ParentWorker> {
    const capabilities = { nested_spawn: true, ...more.capabilities };
    const input = this.rig.spec("w0", { ...more, capabilities });
    return this.rig.start(input, { launcher: this.launcher, spawning: this.nest });
  }

  /** Fabric directories of workers that came of it. */
  async left(): Promise<string[]> {
    const names = await Array.fromAsync(Deno.readDir(`${this.rig.dir}/n`)).catch(() => []);
    return names.map(({ name }) => name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rig[Symbol.asyncDispose]();
  }
}

/** A worker that is at work for as long as `use` takes; what `use` asks for is asked as by that worker. */
export async function whileAtWork(
  worker: ParentWorker,
  use: (ask: (asked: Partial<ProvisionInput>) => Promise<Worker>) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const begun = Promise.withResolvers<void>();
  const run = worker.run({ assignment: "__sleep_ms:600000 x" }, {
    signal: stop.signal,
    onStart: () => begun.resolve(),
  });
  await begun.promise;
  const child: ProvisionInput = {
    version: 1,
    identity: { child_id: "c" },
    executor: { kind: "echo" },
    fabric_dir: "/f",
  };
  try {
    await use((asked) =>
      askForWorker(worker.spec, { ...child, ...asked }, new AbortController().signal)
    );
  } finally {
    stop.abort();
    await run;
  }
}
