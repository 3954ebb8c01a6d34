// SPDX-License-Identifier: Apache-2.0

/**
 * `bureau sandbox run`: a launcher that lives as long as one sandbox, for the person at the keyboard. No
 * daemon, no homeserver, no directory: what is asked for is the operator's own wish, and what it runs is as
 * enclosed as an agent.
 */
import { instantiate, type ResolvedSpec } from "../../lib/template/mod.ts";
import { planSandbox, type SandboxPlan } from "../../sandbox/mod.ts";
import type { SandboxRequest } from "../api.ts";
import { Look, machineFacts } from "../look.ts";
import { startRunCell } from "./cell.ts";
import { bindNetwork, type BoundNetwork, refusalLines, startNetwork } from "./network.ts";

/** The caller's stdin, stdout and stderr: ours are for the document. */
export const CALLER = [4, 5, 6] as const;
/** Processes and threads at once where the template doesn't say. */
const PIDS = 512;
/** Passed on; SIGKILL can't be, and ends everything. */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;

export interface RunPlan {
  readonly plan: SandboxPlan;
  readonly spec: ResolvedSpec;
  /** Holds secrets. */
  readonly network: BoundNetwork | null;
  readonly pids: number;
}

/** The same plan that an agent of this template would get, with the operator's paths as its bind roots. */
export async function planRun(
  request: SandboxRequest,
  runtimeDir?: string,
): Promise<RunPlan> {
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
  const network = request.network === undefined ? null : await bindNetwork(look, spec, request);
  const facts = machineFacts(look, policy, "", {
    ...(runtimeDir === undefined ? {} : { runtime: runtimeDir }),
    caBundle: network !== null && network.contract.some(([name]) => name === "ca-bundle.pem"),
  });
  const planned = network === null ? spec : {
    ...spec,
    environment_variables: { ...network.environment, ...spec.environment_variables },
  };
  const plan = await planSandbox(planned, policy.bind_roots, look.lstat, facts);
  return { plan, spec, network, pids: spec.resources.pids_limit ?? PIDS };
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
export async function runSandbox(
  request: SandboxRequest,
  runDir: string,
  runtimeDir: string,
): Promise<number> {
  const { plan, pids, spec, network } = await planRun(request, runtimeDir);
  const running = network === null ? null : await startNetwork(runDir, runtimeDir, spec, network);
  const directory = directoryFor(request);
  const cell = startRunCell({
    plan,
    pids,
    terminal: request.terminal,
    ...(directory === undefined ? {} : { directory }),
    ...(running === null ? {} : { agentDir: running.agentDir, contract: network!.contract }),
  }, CALLER);
  for (const name of SIGNALS) {
    Deno.addSignalListener(name, () => cell.signal(name.slice("SIG".length)));
  }
  const status = await cell.exited;
  for (const line of refusalLines(running?.refused ?? new Map())) console.error(line);
  return status;
}
