// SPDX-License-Identifier: Apache-2.0

/** Tests: real workers, from source, with the permissions that they would have. */
import type { ProvisionInput } from "../../provision/mod.ts";
import { ChildLauncher, type Command } from "../launch.ts";
import { workerGrants } from "../permissions.ts";
import { ParentWorker, type StartOptions } from "../parent.ts";

const WORKER = new URL("../../../cmd/worker.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../../deno.json", import.meta.url).pathname;
/** Far more than any of it takes, on the busiest machine. */
export const PATIENCE_MS = 60_000;

export const fromSource = new ChildLauncher(async (spec): Promise<Command> => ({
  program: Deno.execPath(),
  args: [
    ...["run", "--quiet", "--no-prompt", "--cached-only", "--no-lock", `--config=${CONFIG}`],
    ...["--allow-sys=uid", ...await workerGrants(spec), WORKER],
  ],
  // Where Deno finds its cache; a worker of a release is one file, and needs none.
  env: Object.fromEntries(
    ["HOME", "DENO_DIR", "PATH"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  ),
}));

export class Rig implements AsyncDisposable {
  readonly #workers: ParentWorker[] = [];
  private constructor(readonly dir: string) {}

  static async make(): Promise<Rig> {
    // A socket's path is short: not where TMPDIR may be.
    return new Rig(await Deno.makeTempDir({ dir: "/tmp", prefix: "bw-" }));
  }

  spec(child_id: string, more: Partial<ProvisionInput> = {}): ProvisionInput {
    return {
      version: 1,
      identity: { child_id, role: "tester", depth: 1 },
      executor: { kind: "echo" },
      fabric_dir: `${this.dir}/f`,
      ...more,
    };
  }

  async start(input: ProvisionInput, more: Partial<StartOptions> = {}): Promise<ParentWorker> {
    const worker = await ParentWorker.start(input, {
      launcher: fromSource,
      registrationMs: PATIENCE_MS,
      ...more,
    });
    this.#workers.push(worker);
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker.end();
    await Deno.remove(this.dir, { recursive: true });
  }
}
