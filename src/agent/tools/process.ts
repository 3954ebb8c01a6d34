// SPDX-License-Identifier: Apache-2.0

/** A program in a process group of its own, which ends whole. */

export interface Ended {
  /** null: by a signal. */
  readonly code: number | null;
  readonly signal: string | null;
  /** What ended it before its own end. */
  readonly why: "timeout" | "aborted" | null;
}

export interface RunOptions {
  readonly cwd: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onOutput: (chunk: Uint8Array) => void;
  readonly env?: Readonly<Record<string, string>>;
}

/** How long what it left behind may hold its output open. */
const DRAIN_MS = 500;

/**
 * Runs it to its end. What it left running in its group is killed with it, so that nothing goes on that
 * nobody knows of; what takes a session of its own (`setsid`) lives until the sandbox ends.
 */
export async function runGroup(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Ended> {
  options.signal.throwIfAborted();
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd,
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    // A session, and so a group, of its own.
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let why: Ended["why"] = null;
  const end = (because: "timeout" | "aborted") => {
    why ??= because;
    killGroup(child.pid);
  };
  const onAbort = () => end("aborted");
  const timer = setTimeout(() => end("timeout"), options.timeoutMs);
  options.signal.addEventListener("abort", onAbort, { once: true });
  const outputs = [child.stdout, child.stderr].map((stream) => reading(stream, options.onOutput));
  try {
    const { code, signal } = await child.status;
    killGroup(child.pid);
    return { code: signal === null ? code : null, signal, why };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
    await drained(outputs);
  }
}

interface Reading {
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

function reading(
  stream: ReadableStream<Uint8Array>,
  onOutput: (chunk: Uint8Array) => void,
): Reading {
  const reader = stream.getReader();
  const done = (async () => {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      onOutput(value);
    }
  })();
  return { done, stop: () => reader.cancel() };
}

/** Something with a session of its own may hold them open for ever. */
async function drained(outputs: readonly Reading[]): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, DRAIN_MS));
  await Promise.race([Promise.all(outputs.map(({ done }) => done)), late]);
  clearTimeout(timer);
  for (const output of outputs) await output.stop();
  await Promise.all(outputs.map(({ done }) => done));
}

export function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch (thrown) {
    // It has ended, and nothing of its group is left.
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
}
