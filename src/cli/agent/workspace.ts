// SPDX-License-Identifier: Apache-2.0

/** Workspaces below `<state>/workspaces/<hash>/`: a clone of a repository, or an empty directory. */
import { principalHash } from "../../lib/ref/mod.ts";
import { CliError } from "../framework/exit.ts";

/**
 * A source repository is somebody's data: its hooks, filters, fsmonitor and the user's configuration run
 * nothing here, and only local and https transports are used.
 */
const SAFE: Readonly<Record<string, string>> = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.sshCommand": "false",
  "protocol.allow": "never",
  "protocol.file.allow": "always",
  "protocol.https.allow": "always",
  "safe.directory": "*",
  "uploadpack.packObjectsHook": "",
  "submodule.recurse": "false",
};

function environment(home: string): Record<string, string> {
  const entries = Object.entries(SAFE);
  return {
    PATH: "/usr/bin:/bin",
    HOME: home,
    LC_ALL: "C.UTF-8",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_CONFIG_COUNT: String(entries.length),
    ...Object.fromEntries(entries.flatMap(([key, value], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ])),
  };
}

async function git(args: readonly string[], cwd: string): Promise<{ ok: boolean; text: string }> {
  const { success, stderr } = await new Deno.Command("/usr/bin/git", {
    args: [...args],
    cwd,
    clearEnv: true,
    env: environment(cwd),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return { ok: success, text: new TextDecoder().decode(stderr).trim() };
}

export interface Workspace {
  readonly path: string;
  /** Of the directory; its group may read, nobody else. */
  readonly fresh: boolean;
}

/**
 * Makes or refreshes the workspace of a principal.
 *
 * @param repo path of a repository; null: an empty directory
 * @throws {CliError} `bad-repository`
 */
export async function prepareWorkspace(
  stateDir: string,
  localpart: string,
  repo: string | null,
): Promise<Workspace> {
  const base = `${stateDir}/workspaces`;
  const dir = `${base}/${await principalHash(localpart)}`;
  const owner = await Deno.stat(base);
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const path = `${dir}/${repo === null ? "work" : "repo"}`;
  const present = await Deno.lstat(path).catch(() => null);
  if (repo === null) {
    if (present === null) await Deno.mkdir(path, { mode: 0o700 });
  } else if (present === null) {
    await clone(repo, dir, path);
  } else {
    await refresh(repo, dir, path);
  }
  await handOver(dir, owner);
  return { path, fresh: present === null };
}

async function clone(repo: string, dir: string, path: string): Promise<void> {
  const half = `${path}.new`;
  await Deno.remove(half, { recursive: true }).catch(() => {});
  const done = await git(
    [
      "clone",
      "--quiet",
      "--no-hardlinks",
      "--no-local",
      "--no-recurse-submodules",
      "--",
      repo,
      half,
    ],
    dir,
  );
  if (!done.ok) {
    await Deno.remove(half, { recursive: true }).catch(() => {});
    throw new CliError("bad-repository", `Cannot clone "${repo}": ${lastLine(done.text)}`, {
      hint: "give a git repository with at least one commit: --repo PATH",
    });
  }
  await Deno.rename(half, path);
}

/** Brings an older clone to the source's present head; a clone that can't be is made anew. */
async function refresh(repo: string, dir: string, path: string): Promise<void> {
  const fetched = await git([
    "-C",
    path,
    "fetch",
    "--quiet",
    "--no-recurse-submodules",
    "--",
    repo,
    "HEAD",
  ], dir);
  const moved = fetched.ok &&
    (await git(["-C", path, "reset", "--quiet", "--hard", "FETCH_HEAD"], dir)).ok;
  if (moved) return;
  const old = `${path}.old`;
  await Deno.remove(old, { recursive: true }).catch(() => {});
  await Deno.rename(path, old);
  await clone(repo, dir, path);
  await Deno.remove(old, { recursive: true });
}

const lastLine = (text: string) => text.split("\n").at(-1) ?? text;

/** As root: to the user that sandboxes run as (the owner of `workspaces`), who must be able to read it. */
async function handOver(dir: string, owner: Deno.FileInfo): Promise<void> {
  if (Deno.uid() !== 0 || owner.uid === null || owner.uid === 0) return;
  const { uid, gid } = owner;
  async function walk(path: string): Promise<void> {
    await Deno.chown(path, uid, gid);
    const info = await Deno.lstat(path);
    if (!info.isDirectory) return;
    for await (const entry of Deno.readDir(path)) {
      // A link's target is not ours to give away.
      if (!entry.isSymlink) await walk(`${path}/${entry.name}`);
    }
  }
  await walk(dir);
}
