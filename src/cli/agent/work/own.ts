// SPDX-License-Identifier: Apache-2.0

/** The clone in which one agent works: made once, kept, and known by its record. */
import { CliError } from "../../framework/exit.ts";
import type { Owner, WorkspaceRequest } from "../workspace.ts";
import { type Cloned, makeClone, type SourceOwner } from "./clone.ts";
import { allRecords, readRecord, type WorkRecord, writeRecord } from "./record.ts";

export interface OwnRepository {
  /** Absent: `bureau/NAME`. */
  readonly branch: string;
  /** Absent: what the source has checked out. */
  readonly from: string;
  readonly identity: { readonly name: string; readonly email: string };
  readonly say: (line: string) => void;
}

/** `scribe` of `…/agent/scribe`, with which its commits and its branch are named. */
export function nameOf(localpart: string): string {
  return localpart.replace(/^.*\/agent\//, "");
}

export function identityOf(localpart: string, server: string): OwnRepository["identity"] {
  const name = nameOf(localpart);
  return { name, email: `${name.replaceAll("/", ".")}@${server}` };
}

/** What `agent create` was asked for. @throws {CliError} `usage` */
export function ownOf(
  { repo, branch, from }: {
    readonly repo?: string | undefined;
    readonly branch?: string | undefined;
    readonly from?: string | undefined;
  },
  localpart: string,
  server: string,
  say: (line: string) => void,
): Partial<OwnRepository> {
  if (repo === undefined && (branch ?? from) !== undefined) {
    throw new CliError("usage", "Cannot make a branch: --branch and --from need --repo PATH");
  }
  return {
    ...(branch === undefined ? {} : { branch }),
    ...(from === undefined ? {} : { from }),
    identity: identityOf(localpart, server),
    say,
  };
}

/**
 * @param exists whether there is something at `path` already
 * @returns the path, or null when there is neither a repository to clone nor a clone
 * @throws {CliError} `bad-repository`, `has-repository`, `branch-taken`
 */
export async function ownClone(
  request: WorkspaceRequest,
  path: string,
  exists: boolean,
  owner: Owner | null,
): Promise<string | null> {
  const { stateDir, localpart, own } = request;
  const record = await readRecord(stateDir, localpart);
  if (exists) {
    if (record !== null) refuseOther(request, record);
    if (request.repo === null) return record === null ? null : path;
    if (record === null) await remember(request, path, request.repo, null);
    return path;
  }
  if (request.repo === null) return null;
  const branch = own?.branch ?? `bureau/${nameOf(localpart)}`;
  const taken = (await allRecords(stateDir)).find((other) =>
    other.principal !== localpart && other.source === request.repo && other.branch === branch
  );
  if (taken !== undefined) {
    throw new CliError(
      "branch-taken",
      `Cannot give "${localpart}" the branch ${branch}: "${taken.principal}" works on it`,
      { hint: "name another with --branch" },
    );
  }
  await cloneInto(request, path, request.repo, branch, owner);
  return path;
}

/** Makes the clone and its record. */
export async function cloneInto(
  request: WorkspaceRequest,
  path: string,
  repo: string,
  branch: string,
  owner: Owner | null,
): Promise<void> {
  const { stateDir, localpart, own, signal } = request;
  const half = `${path}.new`;
  const cloned = await makeClone({
    operatorDir: `${stateDir}/operator`,
    repo,
    dir: half,
    branch,
    from: own?.from ?? null,
    identity: own?.identity ?? identityOf(localpart, "localhost"),
    signal,
    say: own?.say ?? (() => {}),
  }, await ownerOf(repo));
  // Given away before an agent sees it: in a tree that it writes, a name could turn into a link meanwhile.
  await owner?.giveTree(half);
  await remember(request, path, repo, { ...cloned, branch });
  await Deno.rename(half, path);
  own?.say?.(`its clone is on the branch ${branch}, from ${cloned.base.slice(0, 10)}`);
}

async function remember(
  request: WorkspaceRequest,
  workspace: string,
  source: string,
  cloned: Cloned & { readonly branch: string } | null,
): Promise<void> {
  const { localpart, own, stateDir } = request;
  await writeRecord(stateDir, {
    version: 1,
    principal: localpart,
    source,
    owner: await ownerOf(source),
    workspace,
    // One from before there were records is on whatever branch it is.
    branch: cloned?.branch ?? own?.branch ?? `bureau/${nameOf(localpart)}`,
    from: own?.from ?? null,
    identity: own?.identity ?? identityOf(localpart, "localhost"),
    base: cloned?.base ?? null,
    base_branch: cloned?.baseBranch ?? null,
    created_at: Date.now(),
  });
}

async function ownerOf(repo: string): Promise<SourceOwner> {
  try {
    const { uid, gid } = await Deno.stat(repo);
    return uid === null || gid === null ? null : { uid, gid };
  } catch {
    // Not ours to look at (`--from-stdin` names it, and no permission came with it).
    return null;
  }
}

/** Its work is in the clone that it has: another one is made only when that is gone. */
function refuseOther({ repo, localpart, own }: WorkspaceRequest, record: WorkRecord): void {
  const other = repo !== null && repo !== record.source
    ? `a clone of "${record.source}"`
    : own?.branch !== undefined && own.branch !== record.branch
    ? `its branch ${record.branch}`
    : own?.from !== undefined && own.from !== record.from
    ? `its branch ${record.branch}, from ${record.from ?? "what was checked out"}`
    : null;
  if (other === null) return;
  throw new CliError(
    "has-repository",
    `Cannot change what "${localpart}" works in: it has ${other}`,
    {
      hint: "`bureau agent merge` brings its work back, `bureau agent discard` removes the clone",
    },
  );
}
