// SPDX-License-Identifier: Apache-2.0

/**
 * Starts a program with data on descriptors of its own, which `Deno.Command` can't: bwrap reads its seccomp
 * filter that way. Nothing of our environment.
 */
import cp from "node:child_process";
import { concatBytes } from "../bytes.ts";

export interface SpawnOptions {
  readonly env: Readonly<Record<string, string>>;
  /** What it reads on 3, 4, … */
  readonly data?: readonly Uint8Array[];
  /** Absent: /dev/null. */
  readonly stdin?: Uint8Array;
  /** Whether stdout and stderr are kept; else they are /dev/null. */
  readonly keep?: boolean;
}

export interface Output {
  readonly success: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

export interface Spawned {
  /** When it has ended and all that it wrote is read. @throws when it could not be started */
  readonly output: Promise<Output>;
  /** SIGKILL; nothing when it is gone. */
  kill(): void;
}

export function spawn(
  [program, ...args]: readonly [string, ...string[]],
  { env, data = [], stdin, keep = false }: SpawnOptions,
): Spawned {
  const kept = keep ? "pipe" : "ignore";
  const child = cp.spawn(program, args, {
    cwd: "/",
    env: { ...env },
    stdio: [
      stdin === undefined ? "ignore" : "pipe",
      kept,
      kept,
      ...data.map(() => "pipe" as const),
    ],
  });
  if (stdin !== undefined) give(child.stdin, stdin);
  data.forEach((bytes, n) => give(child.stdio[n + 3], bytes));
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Uint8Array) => chunks[name].push(chunk));
  }
  const { promise, resolve, reject } = Promise.withResolvers<Output>();
  child.once("error", reject);
  // Where nothing is kept its end is enough: a child of its own may hold a descriptor open.
  child.once(keep ? "close" : "exit", (code: number | null) =>
    resolve({
      success: code === 0,
      stdout: concatBytes(chunks.stdout),
      stderr: concatBytes(chunks.stderr),
    }));
  return { output: promise, kill: () => void child.kill("SIGKILL") };
}

/** A program that ends early closes its end; its status says why. */
function give(stream: unknown, bytes: Uint8Array): void {
  const pipe = stream as {
    on(event: "error", listener: () => void): void;
    end(data: Uint8Array): void;
  };
  pipe.on("error", () => {});
  pipe.end(bytes);
}
