// SPDX-License-Identifier: Apache-2.0

/** Holds a starting cell back until its first process is in its control group. */
import type cp from "node:child_process";
import process from "node:process";

/** Puts a process that waits for it into its control group. */
export type Enter = (pid: number) => Promise<void>;

/** What bwrap gets for it: its child's pid is told on `fd`, and it waits on the next one. */
export interface Waiting {
  readonly args: readonly string[];
  readonly stdio: readonly "pipe"[];
  /** @throws when it could not be limited; it is killed then, for nothing may run unlimited */
  readonly go: (child: cp.ChildProcess) => Promise<void>;
}

/** @param fd the first free one */
export function waiting(enter: Enter | undefined, fd: number): Waiting {
  if (enter === undefined) return { args: [], stdio: [], go: () => Promise.resolve() };
  return {
    args: ["--info-fd", String(fd), "--block-fd", String(fd + 1)],
    stdio: ["pipe", "pipe"],
    go: (child) => enterThenGo(child, fd, enter),
  };
}

async function enterThenGo(child: cp.ChildProcess, fd: number, enter: Enter): Promise<void> {
  const info = child.stdio[fd] as unknown as NodeJS.ReadableStream;
  const gate = child.stdio[fd + 1] as unknown as NodeJS.WritableStream;
  gate.on("error", () => {});
  const exited = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  const pid = await childPid(info);
  // It died before it made a child; its exit says why.
  if (pid === null) return;
  try {
    await enter(pid);
  } catch (thrown) {
    // Before the gate closes, which would let it go on. Not every cell dies with its bwrap.
    child.kill("SIGKILL");
    process.kill(pid, "SIGKILL");
    await exited;
    gate.end();
    throw thrown;
  }
  gate.end("x");
}

function childPid(info: NodeJS.ReadableStream): Promise<number | null> {
  return new Promise((resolve) => {
    let text = "";
    info.on("data", (chunk: unknown) => {
      text += String(chunk);
      const found = /"child-pid":\s*(\d+)/.exec(text)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
    for (const event of ["end", "close", "error"]) info.once(event, () => resolve(null));
  });
}
