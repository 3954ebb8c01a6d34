// SPDX-License-Identifier: Apache-2.0

/**
 * The repository that agents' clones come from and their work goes back to. It is a person's: git runs
 * there as that person, and none of its hooks, filters, drivers or monitors with it.
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { CliError } from "../../framework/exit.ts";
import { git, type GitAnswer, type GitOptions } from "../git.ts";

/** Beats the repository's own configuration, whatever that says. */
const FIXED: readonly (readonly [string, string])[] = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.alternateRefsCommand", "true"],
  ["core.sshCommand", "false"],
  ["core.pager", "cat"],
  ["core.editor", "false"],
  ["commit.gpgSign", "false"],
  ["merge.verifySignatures", "false"],
  ["merge.autoStash", "false"],
  ["submodule.recurse", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
];

export interface SourceRef {
  readonly operatorDir: string;
  readonly path: string;
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly signal?: AbortSignal | undefined;
}

/** As the owner, where that is somebody else and we are root. */
function ownerOf({ owner }: SourceRef): GitOptions["owner"] {
  return owner === null || Deno.uid() !== 0 || owner.uid === 0 ? undefined : owner;
}

export class SourceRepository {
  readonly #ref: SourceRef;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(ref: SourceRef, env: Readonly<Record<string, string>>) {
    this.#ref = ref;
    this.#env = env;
  }

  get path(): string {
    return this.#ref.path;
  }

  static async open(ref: SourceRef): Promise<SourceRepository> {
    const bare = new SourceRepository(ref, overrides(FIXED));
    const { stdout } = await bare.git([
      "config",
      "-z",
      "--name-only",
      "--get-regexp",
      "^(filter|merge|diff)\\..*\\.(clean|smudge|process|required|driver|command|textconv)$",
    ]);
    const programs = stdout.split("\0").filter(Boolean).map((key) =>
      [key, key.endsWith(".required") ? "false" : ""] as const
    );
    return new SourceRepository(ref, overrides([...FIXED, ...programs]));
  }

  /** @param dir of a work tree; absent: the repository itself */
  async git(
    args: readonly string[],
    input?: GitOptions["input"],
    dir = this.#ref.path,
  ): Promise<GitAnswer> {
    const { operatorDir, signal } = this.#ref;
    return await git(operatorDir, ["-C", dir, ...args], {
      signal,
      input,
      owner: ownerOf(this.#ref),
      env: {
        ...this.#env,
        // Whose it is we don't know: then git looks, and refuses what isn't ours.
        ...(this.#ref.owner === null ? { GIT_CONFIG_GLOBAL: "/dev/null" } : {}),
      },
    });
  }

  /** @returns the commit that `ref` is, or null */
  async commit(ref: string): Promise<string | null> {
    const { ok, stdout } = await this.git([
      "rev-parse",
      "--verify",
      "--quiet",
      "--end-of-options",
      `${ref}^{commit}`,
    ]);
    return ok ? stdout.trim() : null;
  }

  /** The branch that is checked out; null for none. */
  async headBranch(): Promise<string | null> {
    const { ok, stdout } = await this.git(["symbolic-ref", "--quiet", "HEAD"]);
    return ok ? /^refs\/heads\/(.+)$/.exec(stdout.trim())?.[1] ?? null : null;
  }

  /** Commits at the tip of something, newest first. */
  async tips(): Promise<string[]> {
    const { stdout } = await this.git([
      "for-each-ref",
      "--count=500",
      "--sort=-committerdate",
      "--format=%(if)%(*objectname)%(then)%(*objectname) %(*objecttype)%(else)%(objectname) %(objecttype)%(end)",
    ]);
    return [
      ...new Set(
        stdout.split("\n").filter((line) => line.endsWith(" commit"))
          .map((line) => line.slice(0, -" commit".length)),
      ),
    ];
  }

  /** Where its objects are, for a repository of ours that reads them. */
  async objectsDir(): Promise<string | null> {
    const { ok, stdout } = await this.git([
      "rev-parse",
      "--path-format=absolute",
      "--git-path",
      "objects",
    ]);
    return ok ? stdout.replace(/\n$/, "") : null;
  }

  async objectFormat(): Promise<string> {
    return (await this.git(["rev-parse", "--show-object-format"])).stdout.trim() || "sha1";
  }

  /** The work trees in which `branch` is checked out or being rebased. */
  async checkouts(branch: string): Promise<{ path: string; busy: boolean }[]> {
    const { ok, stdout, why } = await this.git(["worktree", "list", "--porcelain", "-z"]);
    if (!ok) {
      throw new CliError(
        "git",
        `Cannot see where "${this.path}" is checked out: ${neutraliseLine(why)}`,
        {
          hint: "this needs git 2.38 or newer; nothing was changed",
        },
      );
    }
    const found: { path: string; busy: boolean }[] = [];
    for (const entry of stdout.split("\0\0").filter(Boolean)) {
      const lines = entry.split("\0");
      const path = lines.find((line) => line.startsWith("worktree "))?.slice("worktree ".length);
      if (path === undefined || lines.includes("bare")) continue;
      if (lines.includes(`branch refs/heads/${branch}`)) found.push({ path, busy: false });
      else if (lines.includes("detached")) {
        const list = await this.git(["branch", "--list", "--no-color"], undefined, path);
        if (list.stdout.includes(`(no branch, rebasing ${branch})`)) {
          found.push({ path, busy: true });
        }
      }
    }
    return found;
  }

  /** Paths that are changed there, without those that git doesn't know. */
  async changedIn(dir: string, untracked = false): Promise<string[] | null> {
    const { ok, stdout } = await this.git(
      [
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        `--untracked-files=${untracked ? "normal" : "no"}`,
      ],
      undefined,
      dir,
    );
    return ok ? stdout.split("\0").filter(Boolean).map((line) => line.slice(3)) : null;
  }
}

function overrides(list: readonly (readonly [string, string])[]): Record<string, string> {
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(list.length) };
  for (const [index, [key, value]] of list.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}
