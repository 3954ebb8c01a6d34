// SPDX-License-Identifier: Apache-2.0

/**
 * Workspaces below `<state>/workspaces/<hash>/`: snapshots of a repository, a clone that belongs to the
 * agent, or an empty directory. Git never runs in one that exists: an agent that may write `.git/config`
 * would choose what git runs (architecture rule 14).
 */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { principalHash } from "../../lib/ref/mod.ts";
import { CliError } from "../framework/exit.ts";
import { runGit } from "./git.ts";
import { ownClone, type OwnRepository } from "./work/own.ts";

export interface WorkspaceRequest {
  readonly stateDir: string;
  /** Of the principal. */
  readonly localpart: string;
  /** Path of a repository; null: an empty directory. */
  readonly repo: string | null;
  /** Whether the agent may write it. */
  readonly writable: boolean;
  /** Workspaces that are in use and stay. */
  readonly keep: readonly string[];
  readonly signal?: AbortSignal;
  /** Of a clone that it may write. */
  readonly own?: Partial<OwnRepository>;
}

/**
 * An agent that only reads gets a new snapshot whenever the source's head has moved. One that writes
 * has a clone on a branch of its own, and keeps it as it is: its work is in there.
 *
 * @returns the path for `${WORKSPACE}`
 * @throws {CliError} `bad-repository`, `has-repository`
 */
export async function prepareWorkspace(request: WorkspaceRequest): Promise<string> {
  const base = `${request.stateDir}/workspaces`;
  const owner = ownerFor(await Deno.stat(base));
  const dir = `${base}/${await principalHash(request.localpart)}`;
  if (!await exists(dir)) {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    await owner?.give(dir);
  }
  if (request.writable) {
    const path = await ownClone(request, `${dir}/repo`, await exists(`${dir}/repo`), owner);
    return path ?? await emptyDirectory(`${dir}/work`, owner);
  }
  if (request.own?.branch !== undefined || request.own?.from !== undefined) {
    throw new CliError(
      "usage",
      "Cannot give the agent a branch: its template mounts no workspace that it may write",
      {
        hint: 'mount it so: { source: "${WORKSPACE}", dest: /workspace, mode: rw }',
      },
    );
  }
  if (request.repo === null) return await emptyDirectory(`${dir}/work`, owner);
  const head = await headOf(request, request.repo);
  const path = `${dir}/repo-${head.slice(0, 16)}`;
  if (!await exists(path)) await clone(request, request.repo, path, owner);
  await removeOthers(dir, [path, ...request.keep]);
  return path;
}

/** Where the agent's programs keep what is theirs, beside what it works on: it stays. */
export async function prepareHome(stateDir: string, localpart: string): Promise<string> {
  const base = `${stateDir}/workspaces`;
  const owner = ownerFor(await Deno.stat(base));
  const dir = `${base}/${await principalHash(localpart)}`;
  await emptyDirectory(dir, owner);
  return await emptyDirectory(`${dir}/home`, owner);
}

async function emptyDirectory(path: string, owner: Owner | null): Promise<string> {
  if (!await exists(path)) {
    await Deno.mkdir(path, { mode: 0o700 });
    await owner?.give(path);
  }
  return path;
}

async function headOf(request: WorkspaceRequest, repo: string): Promise<string> {
  const answer = await runGit(
    `${request.stateDir}/operator`,
    ["ls-remote", "--quiet", "--", repo, "HEAD"],
    request.signal,
  );
  if (!answer.ok) throw unusable(repo, answer.why);
  const head = /^([0-9a-f]{40,64})\tHEAD$/m.exec(answer.stdout)?.[1];
  if (head === undefined) throw unusable(repo, "it has no commit yet");
  return head;
}

async function clone(
  request: WorkspaceRequest,
  repo: string,
  path: string,
  owner: Owner | null,
): Promise<void> {
  const half = `${path}.new`;
  await Deno.remove(half, { recursive: true }).catch(() => {});
  const answer = await runGit(`${request.stateDir}/operator`, [
    "clone",
    "--quiet",
    // Objects are read through git and copied, never linked: the clone shares nothing with the source.
    "--no-local",
    "--no-hardlinks",
    "--no-recurse-submodules",
    "--",
    repo,
    half,
  ], request.signal);
  if (!answer.ok) {
    await Deno.remove(half, { recursive: true }).catch(() => {});
    throw unusable(repo, answer.why);
  }
  // Given away before an agent sees it: in a tree that it writes, a name could turn into a link meanwhile.
  await owner?.giveTree(half);
  await Deno.rename(half, path);
}

function unusable(repo: string, why: string): CliError {
  return new CliError("bad-repository", `Cannot clone "${repo}": ${neutraliseLine(why)}`, {
    hint: "give a git repository on this machine with at least one commit: --repo PATH",
  });
}

async function removeOthers(dir: string, keep: readonly string[]): Promise<void> {
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (!/^repo-[0-9a-f]{16}(\.new)?$/.test(entry.name) || keep.includes(path)) continue;
    await Deno.remove(path, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isDirectory;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

/** As root: the user that sandboxes run as, who must be able to read what root cloned. */
export interface Owner {
  give(path: string): Promise<void>;
  giveTree(path: string): Promise<void>;
}

/** @param base of `workspaces`, which belongs to that user */
export function ownerFor(base: Deno.FileInfo): Owner | null {
  const { uid, gid } = base;
  if (Deno.uid() !== 0 || uid === null || uid === 0) return null;
  const give = (path: string) => Deno.chown(path, uid, gid);
  const giveTree = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(path)) {
      // A link's target is not ours to give away.
      if (entry.isDirectory) await giveTree(`${path}/${entry.name}`);
      else if (entry.isFile) await give(`${path}/${entry.name}`);
    }
    await give(path);
  };
  return { give, giveTree };
}
