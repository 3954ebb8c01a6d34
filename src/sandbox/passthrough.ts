// SPDX-License-Identifier: Apache-2.0

/**
 * `isolation: none`: the host's files, devices and network with the rights of the launcher's user. What
 * stays: a terminal and a pid namespace of its own, so that it can be watched and ended whole, the limits,
 * the cleared environment, and the contract in /run/bureau with its proxy.
 */
import { boundSources, type SandboxPlan } from "./plan_parts.ts";
import { environmentArguments, mountArguments, sourceArguments, startDirectory } from "./mounts.ts";

/** The host's tree, entry by entry: /run/bureau and the like need a place that nobody could make there. */
export function hostTreeArguments(plan: SandboxPlan): string[] {
  return [
    "--unshare-user",
    "--unshare-pid",
    "--clearenv",
    ...plan.opened.flatMap(({ dir, names }) =>
      names.flatMap((name) => {
        const path = dir === "/" ? `/${name}` : `${dir}/${name}`;
        return ["--dev-bind-try", path, path];
      })
    ),
    // bwrap itself needs one to start the agent's, whatever the template puts there.
    "--dir",
    "/tmp",
    "--proc",
    "/proc",
    ...(boundSources(plan).length === 0 ? [] : sourceArguments(plan)),
  ];
}

/** The agent's own bwrap: the tree as its tmux cell sees it. */
export function passthroughArguments(plan: SandboxPlan, contract: readonly string[]): string[] {
  return [
    "--unshare-user",
    "--unshare-pid",
    "--clearenv",
    "--cap-drop",
    "ALL",
    "--new-session",
    "--die-with-parent",
    "--dev-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    ...contract,
    ...mountArguments(plan),
    "--chdir",
    startDirectory(plan),
    ...environmentArguments(plan),
  ];
}
