// SPDX-License-Identifier: Apache-2.0

/** Runs git on a repository that somebody gave us, and never in a tree that an agent could write. */
import { writeIfDifferent } from "../files.ts";

/**
 * A source repository is somebody's data: no hook, filter, file-system monitor or transport of anybody's
 * configuration runs. It is a file because git drops configuration given by environment before it
 * starts `upload-pack`, which then refuses a source that belongs to another user.
 */
const CONFIGURATION = `# Written by Bureau for its own git calls.
[safe]
	directory = *
[protocol]
	allow = never
[protocol "file"]
	allow = always
[core]
	hooksPath = /dev/null
	fsmonitor = false
	sshCommand = false
[submodule]
	recurse = false
[init]
	templateDir =
[gc]
	auto = 0
`;
/** A clone of a large repository takes minutes; a git that waits for something takes forever. */
const DEADLINE_MS = 10 * 60_000;

export interface GitAnswer {
  readonly ok: boolean;
  readonly stdout: string;
  /** The last line that it said, for a message. Hostile text: neutralise before showing. */
  readonly why: string;
}

/** @param operatorDir where the configuration file is kept */
export async function runGit(
  operatorDir: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<GitAnswer> {
  const configuration = `${operatorDir}/gitconfig`;
  await writeIfDifferent(configuration, CONFIGURATION);
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const { success, stdout, stderr } = await new Deno.Command("/usr/bin/git", {
    args: [...args],
    cwd: "/",
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: "/nonexistent",
      LC_ALL: "C.UTF-8",
      GIT_CONFIG_GLOBAL: configuration,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_NO_LAZY_FETCH: "1",
      GIT_OPTIONAL_LOCKS: "0",
      GIT_TERMINAL_PROMPT: "0",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }).output();
  const decoder = new TextDecoder();
  const said = decoder.decode(stderr).trim().split("\n");
  return {
    ok: success,
    stdout: decoder.decode(stdout),
    why: said.find((line) => /^(fatal|error): /.test(line))?.replace(/^\w+: /, "") ??
      said.at(-1) ?? "",
  };
}
