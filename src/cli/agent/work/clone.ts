// SPDX-License-Identifier: Apache-2.0

/**
 * A clone that becomes an agent's own, on a branch of its own. Git copies what the branch reaches through a pack: no object
 * file is linked or shared with the source, and what the source has elsewhere (stashes, other branches) stays there.
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { CliError } from "../../framework/exit.ts";
import { git, type GitAnswer } from "../git.ts";
import { SourceRepository } from "./source.ts";

/** Worth a word before it starts. */
const LARGE_KIB = 512 * 1024;

export interface CloneRequest {
  readonly operatorDir: string;
  readonly repo: string;
  readonly dir: string;
  readonly branch: string;
  /** A branch, tag or commit of the source; null: what it has checked out. */
  readonly from: string | null;
  readonly identity: { readonly name: string; readonly email: string };
  readonly signal?: AbortSignal | undefined;
  /** Told what a person should know, before and after. */
  readonly say: (line: string) => void;
}

export interface Cloned {
  readonly base: string;
  /** The source's branch that it began from. */
  readonly baseBranch: string | null;
}

export function unusable(repo: string, why: string, hint?: string): CliError {
  return new CliError("bad-repository", `Cannot clone "${repo}": ${neutraliseLine(why)}`, {
    hint: hint ?? "give a git repository on this machine with at least one commit: --repo PATH",
  });
}

/** @throws {CliError} `bad-repository` */
export async function makeClone(request: CloneRequest, owner: SourceOwner): Promise<Cloned> {
  const { operatorDir, repo, dir, branch, signal, say } = request;
  const run = (...args: string[]) => git(operatorDir, args, { signal });
  const must = (answer: GitAnswer) => {
    if (!answer.ok) throw unusable(repo, answer.why);
    return answer.stdout;
  };
  if (!(await run("check-ref-format", "--branch", branch)).ok || branch.startsWith("-")) {
    throw new CliError("usage", `Cannot make a branch "${branch}": git allows no such name`);
  }
  const start = await startOf(request, must(await run("ls-remote", "--quiet", "--", repo)));
  const source = await SourceRepository.open({ operatorDir, path: repo, owner, signal });
  await sayBefore(source, say);
  await Deno.remove(dir, { recursive: true }).catch(() => {});
  try {
    const format = start.commit.length === 64 ? ["--object-format=sha256"] : [];
    must(await run("init", "--quiet", `--initial-branch=${branch}`, ...format, "--", dir));
    // Git's log of refs would tell where on this machine it came from.
    const quietly = ["-C", dir, "-c", "core.logAllRefUpdates=false"];
    const tracking = `refs/remotes/origin/${start.branch ?? "base"}`;
    must(
      await run(
        ...quietly,
        "fetch",
        "--quiet",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--update-shallow",
        "--",
        repo,
        `+${start.ref}:${tracking}`,
      ),
    );
    must(await run(...quietly, "reset", "--quiet", "--hard", start.commit));
    must(await run("-C", dir, "config", "user.name", request.identity.name));
    must(await run("-C", dir, "config", "user.email", request.identity.email));
    // Names that a sandbox protects when they are there.
    for (const name of ["hooks", "info"]) {
      await Deno.mkdir(`${dir}/.git/${name}`, { recursive: true, mode: 0o755 });
    }
    await sayAfter(run, dir, say);
  } catch (thrown) {
    await Deno.remove(dir, { recursive: true }).catch(() => {});
    throw thrown;
  }
  return { base: start.commit, baseBranch: start.branch };
}

export type SourceOwner = { readonly uid: number; readonly gid: number } | null;

interface Start {
  readonly ref: string;
  readonly commit: string;
  readonly branch: string | null;
}

/** @param listed what `ls-remote` printed */
async function startOf(request: CloneRequest, listed: string): Promise<Start> {
  const { operatorDir, repo, branch, from, signal } = request;
  const refs = new Map(
    listed.split("\n").filter(Boolean).map((line) => {
      const [commit = "", ref = ""] = line.split("\t");
      return [ref, commit];
    }),
  );
  const head = refs.get("HEAD");
  if (head === undefined && from === null) throw unusable(repo, "it has no commit yet");
  if (refs.has(`refs/heads/${branch}`)) {
    throw unusable(
      repo,
      `it has a branch "${branch}" already`,
      `name another with --branch; --from ${branch} starts there`,
    );
  }
  if (from === null) {
    const name = await git(operatorDir, ["ls-remote", "--quiet", "--symref", "--", repo, "HEAD"], {
      signal,
    });
    const at = /^ref: refs\/heads\/(.+)\tHEAD$/m.exec(name.stdout)?.[1] ?? null;
    return { ref: at === null ? "HEAD" : `refs/heads/${at}`, commit: head!, branch: at };
  }
  const heads = refs.get(`refs/heads/${from}`);
  if (heads !== undefined) return { ref: `refs/heads/${from}`, commit: heads, branch: from };
  const tag = refs.get(`refs/tags/${from}`);
  if (tag !== undefined) {
    return {
      ref: `refs/tags/${from}`,
      commit: refs.get(`refs/tags/${from}^{}`) ?? tag,
      branch: null,
    };
  }
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(from)) {
    return { ref: from, commit: from, branch: null };
  }
  const some = [...refs.keys()].flatMap((ref) => /^refs\/heads\/(.+)$/.exec(ref)?.[1] ?? []);
  throw unusable(
    repo,
    `it has no branch or tag "${from}"`,
    `its branches are ${
      some.slice(0, 10).map(neutraliseLine).join(", ")
    }; a commit is named in full`,
  );
}

async function sayBefore(source: SourceRepository, say: (line: string) => void): Promise<void> {
  const changed = await source.changedIn(source.path, true) ?? [];
  if (changed.length > 0) {
    const some = changed.slice(0, 3).map(neutraliseLine).join(", ");
    say(
      `not included, because it is not committed in "${source.path}": ${some}` +
        (changed.length > 3 ? `, and ${changed.length - 3} more` : ""),
    );
  }
  const shallow = await source.git(["rev-parse", "--is-shallow-repository"]);
  if (shallow.stdout.trim() === "true") say("the source is shallow: so is the clone");
  const { stdout } = await source.git(["count-objects", "-v"]);
  const kib = ["size", "size-pack"].reduce(
    (sum, name) => sum + Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(stdout)?.[1] ?? 0),
    0,
  );
  if (kib > LARGE_KIB) {
    say(`the source has ${(kib / 2 ** 20).toFixed(1)} GiB of objects; copying takes a while`);
  }
}

async function sayAfter(
  run: (...args: string[]) => Promise<GitAnswer>,
  dir: string,
  say: (line: string) => void,
): Promise<void> {
  const listed = await run("-C", dir, "ls-files", "-s", "-z");
  const modules = listed.stdout.split("\0").filter((line) => line.startsWith("160000 "))
    .map((line) => line.slice(line.indexOf("\t") + 1));
  if (modules.length > 0) {
    say(
      `not included, because they are submodules: ${
        modules.slice(0, 5).map(neutraliseLine).join(", ")
      }${modules.length > 5 ? `, and ${modules.length - 5} more` : ""}`,
    );
  }
  const large = await run("-C", dir, "ls-files", "-z", "--", ":(attr:filter=lfs)");
  const pointers = large.stdout.split("\0").filter(Boolean).length;
  if (pointers > 0) {
    say(`not included: the contents of ${pointers} files in LFS; the clone has their pointers`);
  }
}
