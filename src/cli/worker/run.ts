// SPDX-License-Identifier: Apache-2.0

/**
 * `worker run` and `worker pool`: what a person typed, as a document for the parent of the workers, which
 * `tasks/bureau` starts with it.
 */
import type { ParentBootstrap } from "../../agent/parent/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession } from "../session.ts";
import { SANDBOX_FLAGS } from "../sandbox/commands.ts";
import { words } from "../sandbox/request.ts";
import { type Given, launcherOf, plain, readGiven, specOf, textFlag } from "./document.ts";
import { mcpOf } from "./mcp.ts";
import { refuseHere, type Remote, remoteBy } from "./remote.ts";

const MAX_ASSIGNMENTS = 10_000;
/** What a worker is; one that was spawned is it already. */
const DESCRIBING = ["executor", "role", "model", "timeout", "rounds", "disable-tool", "spec"];
/** What a sandbox is made of; the same holds for it. */
const MAKING = ["template", "rw", "ro", "allow-host", "credential", "ca", "mcp"];

export const run: CommandHandler = async (call) => {
  const given = await readGiven(call);
  const assignment = textFlag(call, "assignment") ?? given.assignments;
  if (assignment === undefined) {
    throw new CliError("usage", "Cannot run a worker: it has nothing to do", {
      hint: "give --assignment TEXT, or the text on stdin",
    });
  }
  const spec = specOf(call, given, call.args, textFlag(call, "fabric") ?? "/");
  const placed = placedBy(call, spec);
  const remote = remoteBy(call, given, spec);
  if (remote !== undefined) {
    refuseHere(["worker", "pool", ...MAKING].find((flag) => isGiven(call, flag)));
  }
  await handOver(call, given, spec, { assignments: [assignment], size: null, placed, remote });
};

export const pool: CommandHandler = async (call) => {
  const size = Number(call.flags["size"]);
  if (!Number.isInteger(size) || size < 1 || size > 8) {
    throw new CliError("usage", "Cannot make a pool: --size is 1 to 8");
  }
  const given = await readGiven(call);
  const assignments = (given.assignments ?? textFlag(call, "assignment") ?? "").split("\n")
    .filter((line) => line.trim() !== "");
  if (assignments.length === 0 || assignments.length > MAX_ASSIGNMENTS) {
    throw new CliError(
      "usage",
      `Cannot run ${assignments.length} assignments: it takes 1 to ${MAX_ASSIGNMENTS}`,
      { hint: "give them on stdin, one a line" },
    );
  }
  const spec = specOf(call, given, call.args, textFlag(call, "fabric") ?? "/");
  await handOver(call, given, spec, { assignments, size, placed: null, remote: undefined });
};

type Work = Pick<ParentBootstrap, "assignments" | "size"> & {
  placed: Placed | null;
  remote: Remote | undefined;
};
type Placed = NonNullable<ParentBootstrap["placed"]>;

/** On which worker of the host it is to run; null: on one of its own. Says in `spec` what only the spec can say. */
function placedBy(call: Invocation, spec: Record<string, unknown>): Placed | null {
  const [worker, pool] = [textFlag(call, "worker"), textFlag(call, "pool")];
  if (worker !== undefined && pool !== undefined) {
    throw new CliError("usage", "Cannot use both --worker and --pool: a run has one worker");
  }
  const host_dir = textFlag(call, "host")!;
  const isDescribed = call.args.length > 0 || DESCRIBING.some((flag) => isGiven(call, flag));
  if (worker !== undefined) {
    if (isDescribed) refuse(call, "worker", [...DESCRIBING, "COMMAND"]);
    refuse(call, "worker", MAKING);
    return { host_dir, name: worker };
  }
  if (pool !== undefined) {
    refuse(call, "pool", MAKING);
    if (!isDescribed) return { host_dir, name: pool };
    spec["placement"] = { kind: "schedulable", pool };
  }
  const placement = spec["placement"] as { kind?: unknown } | undefined;
  if (placement?.kind !== "schedulable") return null;
  refuse(call, "spec", MAKING);
  return { host_dir, name: null };
}

/** @throws {CliError} where one of `flags` is given, which nobody would look at */
function refuse(call: Invocation, by: string, flags: readonly string[]): void {
  const given = flags.find((flag) => isGiven(call, flag));
  if (given === undefined) return;
  const flag = given === "COMMAND" ? "a command" : `--${given}`;
  throw new CliError("usage", `Cannot use ${flag} here: the worker of --${by} is made already`, {
    hint: "what it has was decided when it was spawned; spawn another",
  });
}

function isGiven({ flags, args }: Invocation, name: string): boolean {
  if (name === "COMMAND") return args.length > 0;
  const value = flags[name];
  if (name === "template") return value !== SANDBOX_FLAGS["template"]?.default;
  return Array.isArray(value) ? words(value).length > 0 : value !== undefined;
}

async function handOver(
  call: Invocation,
  given: Given,
  spec: Record<string, unknown>,
  { placed, remote, ...work }: Work,
): Promise<void> {
  const fabric = textFlag(call, "fabric");
  if (fabric === undefined) throw new Error("`sh tasks/bureau` makes it");
  const mcp = await mcpOf(call, given, spec);
  const shared = mcp === null ? [] : [`${mcp.dir}/s`];
  const document: ParentBootstrap = {
    version: 1,
    mode: "worker",
    // `tasks/sandbox.sh` looks for its address here: it is the one that the process may reach.
    ...(remote === undefined ? {} : { remote }),
    run_dir: call.runDir,
    state_dir: call.stateDir,
    fabric_dir: fabric,
    // Nothing is made for one that is there.
    launcher: placed === null && remote === undefined
      ? plain(await launcherOf(call, given, shared))
      : {},
    spec: plain(spec),
    ...work,
    json: call.json,
    approver: await approverOf(call),
    mcp,
    ...(placed === null ? {} : { placed }),
  };
  call.emit(JSON.stringify(document));
}

/** @returns the socket at which people are asked; null: nobody is */
async function approverOf(call: Invocation): Promise<string | null> {
  const where = textFlag(call, "ask");
  const socket = textFlag(call, "approver") ?? null;
  switch (where) {
    case undefined:
    case "nobody":
    case "terminal":
      return socket;
    case "room": {
      // Before the worker has begun what nobody could allow.
      const daemon = daemonClient(call, await loadSession(call));
      try {
        await daemon.call("approvals", { signal: call.signal });
      } finally {
        daemon.close();
      }
      return socket;
    }
    default:
      throw new CliError("usage", `Cannot ask "${where}"`, {
        hint: "--ask is terminal, room or nobody",
      });
  }
}
