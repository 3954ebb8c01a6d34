// SPDX-License-Identifier: Apache-2.0

/** `<run>/p/<hash>/…` of one principal (docs/design/contracts.md). */
import {
  agentArguments,
  BOUND_FILE,
  boundScript,
  encodeArguments,
  ETC_DIRECTORIES,
  etcFiles,
  GUARD_FILE,
  guardScript,
  HEALTH_SCRIPT,
  type PrincipalDirectories,
  RELOAD_SCRIPT,
  RESIZE_SCRIPT,
  type SandboxPlan,
  SECCOMP_FILE,
  seccompHere,
  SECRETS_DIR,
  startScript,
  STOP_SCRIPT,
} from "../sandbox/mod.ts";
import { DIED, serverConfig } from "../lib/tmux/mod.ts";
import { LauncherError } from "./errors.ts";
import { readIfThere, removeIfThere, writeAtomic } from "./files.ts";
import { PAYLOAD_FILE, payloadText } from "./payload.ts";
import { WATCHED_FILE } from "./watched.ts";

export function directoriesOf(
  runDir: string,
  hash: string,
): PrincipalDirectories & { readonly base: string } {
  const base = `${runDir}/p/${hash}`;
  return {
    base,
    agent: `${base}/agent`,
    admin: `${base}/admin`,
    egress: `${base}/egress`,
    tmux: `${base}/tmux`,
    observe: `${base}/observe`,
    cell: `${base}/cell`,
    listen: `${base}/listen`,
    service: `${base}/service`,
  };
}

/** @throws {LauncherError} `hash-collision` when another principal has this directory */
export async function makeDirectories(
  runDir: string,
  hash: string,
  localpart: string,
): Promise<void> {
  const dirs = directoriesOf(runDir, hash);
  const owner = await readIfThere(`${dirs.base}/name`);
  if (owner !== null && owner !== localpart) {
    throw new LauncherError(
      "hash-collision",
      `Cannot start "${localpart}": its directory belongs to "${owner}"`,
      { status: 409, hint: "rename one of the two" },
    );
  }
  const modes: [string, number][] = [
    [dirs.base, 0o750],
    [dirs.agent, 0o750],
    [dirs.admin, 0o750],
    // The daemon makes its gate here, as a user of its own in the same group.
    [dirs.egress, 0o770],
    [dirs.tmux, 0o700],
    [dirs.observe, 0o750],
    [dirs.cell, 0o700],
    // A service's own, which only it writes; what of it others may have is in `offer`.
    [dirs.listen, 0o700],
    [`${dirs.base}/offer`, 0o750],
    // The daemon puts sockets and tokens here.
    [dirs.service, 0o770],
  ];
  for (const [path, mode] of modes) {
    await Deno.mkdir(path, { recursive: true });
    await Deno.chmod(path, mode);
  }
  if (owner === null) await writeAtomic(`${dirs.base}/name`, localpart);
}

export interface CellContents {
  readonly plan: SandboxPlan;
  readonly spec: { readonly payload: Record<string, unknown> };
  readonly pidsLimit: number;
  /** Further files of the contract, which the sandbox reads in /run/bureau/contract. No secrets. */
  readonly contract?: readonly (readonly [name: string, text: string])[];
}

/** Directories of `cellFiles`, parents first. */
export const CELL_DIRECTORIES = [
  "contract",
  `contract/${SECRETS_DIR}`,
  "etc",
  ...ETC_DIRECTORIES.map((name) => `etc/${name}`),
] as const;

/** What is in `/cell` for every sandbox: its contract, its /etc, the arguments of its bwrap. */
export function cellFiles(
  { plan, spec: { payload }, contract = [] }: Omit<CellContents, "pidsLimit">,
): [name: string, data: string | Uint8Array][] {
  return [
    [PAYLOAD_FILE, payloadText(payload)],
    ...contract.map(([name, text]): [string, string] => [`contract/${name}`, text]),
    ...etcFiles(plan).map(([name, text]): [string, string] => [`etc/${name}`, text]),
    ...[[BOUND_FILE, boundScript(plan)], [`contract/${GUARD_FILE}`, guardScript(plan)]]
      .filter((file): file is [string, string] => file[1] !== null),
    [WATCHED_FILE, JSON.stringify(plan.watched)],
    ["nested.args", encodeArguments(agentArguments(plan, contract.map(([name]) => name)))],
    ...(plan.seccomp === null
      ? []
      : [[SECCOMP_FILE, seccompHere(plan.seccomp)] as [string, Uint8Array]]),
  ];
}

/** Everything the tmux cell and the nested sandbox read at their start. */
export async function writeCellFiles(
  runDir: string,
  hash: string,
  contents: CellContents,
): Promise<void> {
  const { cell } = directoriesOf(runDir, hash);
  await removeIfThere(cell, true);
  for (const path of [cell, ...CELL_DIRECTORIES.map((name) => `${cell}/${name}`)]) {
    await Deno.mkdir(path, { mode: 0o700 });
  }
  const { plan, contract = [] } = contents;
  const hasHealth = contract.some(([name]) => name === HEALTH_SCRIPT);
  const files: [string, string | Uint8Array][] = [
    ...cellFiles(contents),
    ["start.sh", startScript(plan.command, DIED, contents.pidsLimit, plan.files, hasHealth)],
    ["stop.sh", STOP_SCRIPT],
    ["reload.sh", RELOAD_SCRIPT],
    ["resize.sh", RESIZE_SCRIPT],
    ["tmux.conf", serverConfig(["/bin/sh", "/cell/start.sh"], "sh /cell/resize.sh #{pane_pid}")],
  ];
  // Read by this start alone, which makes them anew: nothing is gained by having them on disk.
  await Promise.all(files.map(([name, data]) => {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    return Deno.writeFile(`${cell}/${name}`, bytes, { createNew: true, mode: 0o600 });
  }));
}

/** Removes a principal's directory. Sockets of others in it are theirs to notice. */
export async function removeDirectories(runDir: string, hash: string): Promise<void> {
  await removeIfThere(directoriesOf(runDir, hash).base, true);
}
