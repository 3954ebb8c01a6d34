// SPDX-License-Identifier: Apache-2.0

/**
 * A worker in a sandbox of its own, for the operator: each is made by a launcher that lives as long as it, the same
 * that `bureau sandbox run` starts. The spec goes through that launcher's fourth descriptor to the worker's standard
 * input; what it says goes through the fabric directory, which both see.
 */
import cp from "node:child_process";
import { denoArguments, parseGrants } from "../../lib/process/grants.ts";
import { walled } from "../guardian/ring.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import { ParentError } from "./errors.ts";
import { tailOf, type WorkerLauncher, type WorkerProcess } from "./launch.ts";
import { workerArguments } from "./permissions.ts";

/** Where a sandbox sees Bureau's own programs. */
export const RUNTIME = "/opt/bureau";

interface Pipe {
  on(event: "error", listener: () => void): void;
  end(data: Uint8Array | string, done?: () => void): void;
}

export interface SandboxOptions {
  /** Of the launcher, without its command. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Directory of the bundles. */
  readonly runtimeDir: string;
  readonly stateDir: string;
  /** Of workers without a network; each other one has a directory of its own, beside its fabric_dir. */
  readonly runDir: string;
}

export class SandboxLauncher implements WorkerLauncher {
  readonly #options: SandboxOptions;
  #grants: string | null = null;

  constructor(options: SandboxOptions) {
    this.#options = options;
  }

  async launch(spec: ProvisionSpec): Promise<WorkerProcess> {
    const { fabric_dir, storage_dir } = spec;
    const request = this.#options.document["sandbox"] as Record<string, unknown>;
    // Each has a network of its own, whose sockets have the same names.
    const sockets = request["network"] === undefined ? null : `${fabric_dir}.net`;
    if (sockets !== null) await Deno.mkdir(sockets, { recursive: true, mode: 0o700 });
    const asked = withFabric(request, fabric_dir);
    const process = await this.start({
      // A reader's first ring; the second is in the worker itself.
      ...spec.capabilities.guardian_read_only
        ? walled(asked, [fabric_dir, storage_dir ?? fabric_dir])
        : asked,
      command: [`${RUNTIME}/deno`, ...await sandboxedArguments(spec)],
      terminal: false,
    }, sockets ?? this.#options.runDir);
    return {
      ...process,
      exited: process.exited.then(async (ended) => {
        if (sockets !== null) await Deno.remove(sockets, { recursive: true }).catch(() => {});
        return ended;
      }),
    };
  }

  /**
   * @param sandbox of the launcher's document; what is given comes to its program's standard input
   * @param runDir for the sockets of its network
   */
  async start(
    sandbox: Readonly<Record<string, unknown>>,
    runDir: string,
  ): Promise<WorkerProcess> {
    const { document, runtimeDir, stateDir } = this.#options;
    this.#grants ??= await Deno.readTextFile(`${runtimeDir}/grants.txt`);
    const grants = parseGrants(this.#grants, {
      STATE: stateDir,
      RUN: runDir,
      RUNTIME: runtimeDir,
      DENO: Deno.execPath(),
    });
    // It ends with us, however we do.
    const deno = ["--pdeathsig=KILL", "--", Deno.execPath()];
    const child = cp.spawn("/usr/bin/setpriv", [
      ...deno,
      ...denoArguments("launcher", runtimeDir, grants),
    ], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
      // Its document; nothing; its words; and for the sandbox: the spec, nothing, its words.
      stdio: ["pipe", "ignore", "pipe", "ignore", "pipe", "ignore", "pipe"],
      detached: true,
    });
    const pipes = child.stdio as unknown as (Pipe & NodeJS.ReadableStream)[];
    for (const index of [0, 4]) pipes[index]!.on("error", () => {});
    pipes[0]!.end(JSON.stringify({ ...document, mode: "run", run_dir: runDir, sandbox }));
    const words = Promise.all([2, 6].map((index) => tailOf(streamOf(pipes[index]!))));
    let isGone = false;
    const ended = Promise.withResolvers<string>();
    child.once("error", ({ message }) => ended.resolve(`before it began: ${message}`));
    child.once(
      "exit",
      (code, signal) => ended.resolve(signal === null ? `with status ${code}` : `by ${signal}`),
    );
    return {
      pid: child.pid ?? -1,
      give: (bytes) =>
        new Promise<void>((resolve, reject) => {
          void ended.promise.then((how) =>
            reject(
              new ParentError("exited-early", `Cannot give the spec: the launcher ended ${how}`),
            )
          );
          pipes[4]!.end(bytes, resolve);
        }),
      exited: ended.promise.then(async (how) => {
        isGone = true;
        return { how, stderr: (await words).filter((text) => text !== "").join("\n") };
      }),
      // The cell ends with its launcher, and everything in it with the cell.
      kill: () => {
        if (!isGone) child.kill("SIGKILL");
      },
      // Its launcher passes it on.
      ask: () => {
        if (!isGone) child.kill("SIGTERM");
      },
    };
  }
}

/** Where this worker and its parent meet: no other's is there. */
function withFabric(request: Record<string, unknown>, dir: string): Record<string, unknown> {
  const binds = request["binds"] as readonly Readonly<Record<string, unknown>>[];
  const meeting = { source: dir, dest: dir, mode: "rw" };
  return { ...request, binds: [...binds, meeting] };
}

/** What its template, a way out and placeholders put into its environment is for the program that it runs. */
async function sandboxedArguments(spec: ProvisionSpec): Promise<string[]> {
  const args = await workerArguments(spec, RUNTIME);
  return spec.executor.kind === "cli_adapter" ? args.toSpliced(-1, 0, "--allow-env") : args;
}

function streamOf(pipe: NodeJS.ReadableStream): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      let isOpen = true;
      const close = () => {
        if (isOpen) controller.close();
        isOpen = false;
      };
      pipe.on("data", (chunk) => {
        if (isOpen) controller.enqueue(chunk as unknown as Uint8Array);
      });
      for (const event of ["end", "close", "error"]) pipe.on(event, close);
    },
  });
}
