// SPDX-License-Identifier: Apache-2.0

/** How a worker's process comes to be. The sandbox around it is somebody else's: see docs/design/decisions/workers.md. */
import type { ProvisionSpec } from "../provision/spec.ts";

export interface WorkerProcess {
  readonly pid: number;
  /** Writes the spec, and closes. @throws when the process reads no more */
  give(spec: Uint8Array): Promise<void>;
  /** With what it wrote to stderr, as far as that is kept. */
  readonly exited: Promise<{ readonly how: string; readonly stderr: string }>;
  /** SIGKILL, to it and all that it started. Idempotent. */
  kill(): void;
  /** SIGTERM, to it alone: it ends its run, and itself. Absent: it can't be asked. */
  ask?(): void;
}

export interface WorkerLauncher {
  launch(spec: ProvisionSpec): Promise<WorkerProcess> | WorkerProcess;
}

/** Of stderr. */
const MAX_STDERR = 16 * 1024;

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** All of its environment, or what it has beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly inheritsEnvironment?: boolean;
}

/** As a child of this process, in this process's own walls: for workers of the same principal. */
export class ChildLauncher implements WorkerLauncher {
  /** @param command never has anything of the spec in it but paths: other users see arguments */
  constructor(private readonly command: (spec: ProvisionSpec) => Command | Promise<Command>) {}

  async launch(spec: ProvisionSpec): Promise<WorkerProcess> {
    const { program, args, env = {}, inheritsEnvironment = false } = await this.command(spec);
    const child = new Deno.Command(program, {
      args: [...args],
      cwd: "/",
      clearEnv: !inheritsEnvironment,
      env: { ...env },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
      // A group of its own, so that all of it can be ended.
      detached: true,
    }).spawn();
    const stderr = tailOf(child.stderr);
    let isGone = false;
    return {
      pid: child.pid,
      give: async (bytes) => {
        const writer = child.stdin.getWriter();
        await writer.write(bytes);
        await writer.close();
      },
      exited: child.status.then(async ({ code, signal }) => {
        isGone = true;
        killAll([child.pid]);
        return {
          how: signal === null ? `with status ${code}` : `by ${signal}`,
          stderr: await stderr,
        };
      }),
      kill: () => {
        if (!isGone) killAll([child.pid, ...descendants(child.pid)]);
      },
      ask: () => {
        if (!isGone) child.kill("SIGTERM");
      },
    };
  }
}

/** Each with its group, where it leads one. */
function killAll(pids: readonly number[]): void {
  for (const pid of pids.flatMap((each) => [-each, each])) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It is gone, or led no group.
    }
  }
}

/** What a worker's program started may have left its group. */
function descendants(pid: number): number[] {
  // By another program: Deno reads nothing of other processes for whom it does not permit all.
  const { stdout } = new Deno.Command("/bin/cat", {
    args: [`/proc/${pid}/task/${pid}/children`],
    stderr: "null",
  }).outputSync();
  const children = new TextDecoder().decode(stdout).trim().split(/\s+/).filter((word) =>
    word !== ""
  ).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** What a process wrote last. A grandchild that holds the pipe does not keep us. */
export async function tailOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let kept = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) {
      kept = (kept + decoder.decode(chunk, { stream: true })).slice(-MAX_STDERR);
    }
  } catch {
    // Ended with its process.
  }
  return kept.trim();
}
