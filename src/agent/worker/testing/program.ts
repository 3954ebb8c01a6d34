// SPDX-License-Identifier: Apache-2.0

/** A shell script as the command-line agent of a worker, and what its parent sees. */
import assert from "node:assert/strict";
import { completeSpec, type ProvisionInput } from "../../provision/mod.ts";
import { cliAdapter } from "../executors/cli_adapter.ts";
import { ClaudeProtocol } from "../../driver/claude.ts";
import { Session } from "../session.ts";

export interface Frame {
  readonly kind: string;
  readonly event?: Record<string, unknown>;
  readonly [key: string]: unknown;
}

/** @param args of the script; those for JSON lines make it speak them */
export async function withProgram(
  script: string,
  test: (run: {
    say: (frame: unknown) => void;
    until: (isThere: (frames: readonly Frame[]) => boolean) => Promise<void>;
    frames: readonly Frame[];
    dir: string;
  }) => Promise<void>,
  args: readonly string[] = [],
  more: Partial<ProvisionInput> = {},
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const executor = cliAdapter(
    completeSpec({
      version: 1,
      identity: { child_id: "c" },
      executor: { kind: "cli_adapter", command: "/bin/sh", args: ["-c", script, "sh", ...args] },
      fabric_dir: dir,
      ...more,
    }),
    { jsonLines: (told, options) => new ClaudeProtocol(told, options) },
  );
  const frames: Frame[] = [];
  const changed: (() => void)[] = [];
  const session = new Session({
    bufferedAmount: 0,
    send: (text) => {
      frames.push(JSON.parse(text));
      for (const look of changed.splice(0)) look();
    },
  }, { executor });
  try {
    await test({
      frames,
      dir,
      say: (frame) => session.receive(JSON.stringify(frame)),
      until: async (isThere) => {
        while (!isThere(frames)) await new Promise<void>((resolve) => changed.push(resolve));
      },
    });
  } finally {
    assert.equal(await session.close(), true);
    await executor.close?.();
    assert.deepEqual(await Array.fromAsync(Deno.readDir(dir)), [], "it left something behind");
    await Deno.remove(dir);
  }
}

/** One run of one assignment, to its end. */
export async function outcomeOf(
  script: string,
  assignment: string,
  args: readonly string[] = [],
  more: Partial<ProvisionInput> = {},
): Promise<{ terminal: Frame; events: unknown[] }> {
  let found: Frame[] = [];
  await withProgram(
    script,
    async ({ say, until, frames }) => {
      say({ kind: "run", assignment });
      await until((frames) => frames.at(-1)?.kind === "terminal");
      found = [...frames];
    },
    args,
    more,
  );
  const terminal = found.pop()!;
  return { terminal, events: found.map(({ event }) => event) };
}
