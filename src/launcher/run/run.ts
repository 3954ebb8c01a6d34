// SPDX-License-Identifier: Apache-2.0

/**
 * `bureau sandbox run`: a launcher that lives as long as one sandbox, for the person at the keyboard. No
 * daemon, no homeserver, no directory: what is asked for is the operator's own wish, and what it runs is as
 * enclosed as an agent.
 */
import { instantiate } from "../../lib/template/mod.ts";
import { planSandbox, type SandboxPlan } from "../../sandbox/mod.ts";
import type { SandboxRequest } from "../api.ts";
import { Look, machineFacts } from "../look.ts";
import { startRunCell } from "./cell.ts";

/** The caller's stdin, stdout and stderr: ours are for the document. */
export const CALLER = [4, 5, 6] as const;
/** Processes and threads at once where the template doesn't say. */
const PIDS = 512;
/** Passed on; SIGKILL can't be, and ends everything. */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;

/** The same plan that an agent of this template would get, with the operator's paths as its bind roots. */
export async function planRun(
  request: SandboxRequest,
): Promise<{ plan: SandboxPlan; pids: number }> {
  const { template, binds, command } = request;
  const spec = instantiate({
    ...template,
    filesystem: [...template.filesystem ?? [], ...binds],
    ...(command.length > 0 ? { command } : {}),
  }, {});
  // What a policy would allow is the operator's own wish here; devices and passthrough are not on offer.
  const policy = {
    bind_roots: binds.map(({ source, mode }) => ({ path: source, mode })),
    devices: [],
    passthrough: [],
  };
  const look = new Look(policy);
  const facts = machineFacts(look, policy, "");
  const plan = await planSandbox(spec, policy.bind_roots, look.lstat, facts);
  return { plan, pids: spec.resources.pids_limit ?? PIDS };
}

/** Where the caller stood, as the sandbox names it; undefined where no bind holds it. */
export function directoryFor(request: SandboxRequest): string | undefined {
  const { directory, binds } = request;
  if (directory === undefined) return undefined;
  const [holding] = binds
    .filter(({ source }) => directory === source || directory.startsWith(`${source}/`))
    .toSorted((a, b) => b.source.length - a.source.length);
  return holding === undefined ? undefined : holding.dest + directory.slice(holding.source.length);
}

/** @returns the exit status of what ran */
export async function runSandbox(request: SandboxRequest): Promise<number> {
  const { plan, pids } = await planRun(request);
  const directory = directoryFor(request);
  const cell = startRunCell({
    plan,
    pids,
    terminal: request.terminal,
    ...(directory === undefined ? {} : { directory }),
  }, CALLER);
  for (const name of SIGNALS) {
    Deno.addSignalListener(name, () => cell.signal(name.slice("SIG".length)));
  }
  return await cell.exited;
}
