// SPDX-License-Identifier: Apache-2.0

/** `worker spawn`: what a person typed, as a document for the host of their workers; `tasks/bureau` hands it on. */
import * as z from "zod/mini";
import { MAX_WORKERS, Name, type SpawnBootstrap } from "../../agent/host/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { launcherOf, plain, readGiven, specOf, textFlag } from "./document.ts";

const DEFAULT_SIZE = 2;

export const spawn: CommandHandler = async (call) => {
  const given = await readGiven(call);
  const pool = textFlag(call, "pool");
  // Of a pool all words are the command's.
  const [name, command] = pool === undefined
    ? [call.args[0] ?? null, call.args.slice(1)]
    : [pool, call.args];
  checkName(name);
  const host_dir = textFlag(call, "host")!;
  const spec = specOf(call, given, command, host_dir);
  const { idle } = call.flags;
  const document: SpawnBootstrap = {
    version: 1,
    mode: "spawn",
    host_dir,
    state_dir: call.stateDir,
    request: {
      name,
      size: sizeOf(call, pool),
      launcher: plain(await launcherOf(call, given)),
      spec: plain({
        ...spec,
        limits: {
          ...spec["limits"] as Record<string, unknown>,
          ...(idle === undefined ? {} : { idle_timeout_secs: idle }),
        },
      }),
    },
    json: call.json,
  };
  call.emit(JSON.stringify(document));
};

function checkName(name: string | null): void {
  if (name === null || z.safeParse(Name, name).success) return;
  throw new CliError("usage", `Cannot call a worker "${name}"`, {
    hint: "a name has a-z, 0-9 and - in between, 32 at most; it stands before a command",
  });
}

function sizeOf({ flags }: Invocation, pool: string | undefined): number | null {
  const { size } = flags;
  if (pool === undefined) {
    if (size === undefined) return null;
    throw new CliError("usage", "Cannot use --size without --pool");
  }
  const workers = Number(size ?? DEFAULT_SIZE);
  if (Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS) return workers;
  throw new CliError("usage", `Cannot make a pool: --size is 1 to ${MAX_WORKERS}`);
}
