// SPDX-License-Identifier: Apache-2.0

/** `bureau worker run` and `bureau worker pool`: assignments to workers in sandboxes, and what came of them. */
import { parseAuthority } from "../../lib/authority.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/neutralise.ts";
import { placeOnHost } from "../host/client.ts";
import { PlacedWorker } from "../place/mod.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import type { GatedCall } from "../approval/mod.ts";
import type { ParentBootstrap } from "./api.ts";
import { Approver } from "./approver.ts";
import type { RunOutcome } from "./connection.ts";
import { ParentError } from "./errors.ts";
import { narrow } from "./narrow.ts";
import { McpHub, serverInSandbox } from "./mcp/hub.ts";
import { ParentWorker } from "./parent.ts";
import { WorkerPool } from "./pool.ts";
import { SandboxLauncher } from "./sandbox.ts";
import { Nest } from "../spawn/nest.ts";

/** Whose they are: the operator is nobody's principal. */
const OPERATOR = "operator";

export interface Output {
  out(line: string): void;
  err(line: string): void;
}

/** @returns the exit status: 0 when all were completed */
export async function runAssignments(
  bootstrap: ParentBootstrap,
  runtimeDir: string,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { fabric_dir, assignments, size, json } = bootstrap;
  const launcher = new SandboxLauncher({
    document: bootstrap.launcher,
    runtimeDir,
    stateDir: bootstrap.state_dir,
    runDir: bootstrap.run_dir,
  });
  const spawning = new Nest({ launcher, dir: fabric_dir });
  const spec = narrow(null, { ...bootstrap.spec as unknown as ProvisionInput, fabric_dir });
  const say = (line: Record<string, unknown>) => output.out(JSON.stringify(line));
  const tell = (index: number, outcome: RunOutcome) => {
    if (json) say({ assignment: index, outcome });
    else if (outcome.status === "completed") output.out(shown(outcome.result));
    else {
      const why = "error" in outcome ? outcome.error : "it was cancelled";
      output.err(`error: Cannot finish assignment ${index + 1}: ${shown(why)}`);
    }
    return outcome.status === "completed";
  };
  using approver = new Approver({ socket: bootstrap.approver, onUnasked: unasked(output) });
  const name = bootstrap.placed?.name ?? (spec.identity.role || "the worker");
  const handlers = (index: number) => ({
    signal,
    onApproval: (body: unknown, over: AbortSignal) =>
      approver.decide(size === null ? name : `${name}, assignment ${index + 1},`, body, over),
    onEvent: (event: unknown) => {
      if (json) say({ assignment: index, event });
    },
  });
  await using hub = bootstrap.mcp === null ? null : await McpHub.start({
    mcp: bootstrap.mcp,
    signal,
    start: serverInSandbox(bootstrap.mcp.dir, { runtimeDir, stateDir: bootstrap.state_dir }),
  });
  const start = hub === null
    ? { launcher, spawning }
    : { launcher, spawning, equip: (input: ProvisionInput) => hub.equip(input) };
  if (size === null) {
    const identity = { ...spec.identity, child_id: "w0" };
    const { placed, remote } = bootstrap;
    const once = { ...spec, identity, reusable: false };
    const worker = placed !== undefined
      ? await placeOnHost(placed, spec)
      : remote !== undefined
      ? await placeRemotely(once, remote, fabric_dir)
      : await ParentWorker.start({ ...once, fabric_dir: `${fabric_dir}/w0` }, start);
    try {
      const request = { assignment: assignments[0] ?? "" };
      return tell(0, await worker.run(request, handlers(0))) ? 0 : 1;
    } finally {
      // The host keeps its own, where it could be used again.
      if (worker instanceof PlacedWorker) await worker.leave();
      else await worker.end();
    }
  }
  const pool = new WorkerPool({ ...start, concurrent: size, kept: size, names: SLOTS });
  try {
    const runs = assignments.map((assignment, index) =>
      pool.run({ principal: OPERATOR, spec, request: { assignment } }, handlers(index))
        .catch((thrown): RunOutcome => ({ status: "error", error: messageOf(thrown) }))
    );
    let status = 0;
    // In the order of the assignments, each as soon as those before it are told.
    for (const [index, run] of runs.entries()) if (!tell(index, await run)) status = 1;
    return status;
  } finally {
    await pool.close();
  }
}

/** Says how to be asked, once: a worker may try again and again. */
function unasked(output: Output): (worker: string, call: GatedCall) => void {
  let isFirst = true;
  return (worker, { tool, resource }) => {
    output.err(`denied: ${worker}: ${tool}: ${shown(resource)}`);
    if (isFirst) output.err("hint: --ask terminal asks you here, --ask room in the machine's room");
    isFirst = false;
  };
}

async function placeRemotely(
  spec: ProvisionInput,
  { address, pin, token }: NonNullable<ParentBootstrap["remote"]>,
  dir: string,
): Promise<PlacedWorker> {
  const at = parseAuthority(address);
  if (at === null) {
    throw new ParentError("bad-placement", `Cannot reach "${address}": not HOST:PORT`);
  }
  // It is nobody else's way: the others load no TLS.
  const { placeAtResident } = await import("../place/remote.ts");
  return await placeAtResident({ at, pin, token, socket: `${dir}/remote.sock` }, spec);
}

/** Whose sockets this process may reach (tasks/grants.txt). */
const SLOTS = Array.from({ length: 8 }, (_, n) => `w${n}`);

/** What a worker says is for a terminal to show, not to obey. */
const shown = (text: string) => text.split("\n").map((line) => neutraliseLine(line)).join("\n");

/** As the CLI shows its own. */
export function describe(thrown: unknown): string[] {
  const hint = thrown instanceof BureauError ? thrown.hint : undefined;
  return [`error: ${shown(messageOf(thrown))}`, ...hint === undefined ? [] : [`hint: ${hint}`]];
}
