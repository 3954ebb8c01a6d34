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
const MAX_WORDS = 2 ** 20;
const MAX_BYTES = 256 * 2 ** 20;

export interface GitAnswer {
  readonly ok: boolean;
  /** Its exit status. */
  readonly code: number;
  readonly stdout: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** It had more to say than `maxBytes`, and was stopped. */
  readonly cut: boolean;
  /** The last line that it said, for a message. Hostile text: neutralise before showing. */
  readonly why: string;
}

export interface GitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly input?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  /** More environment: a repository of ours, an index, who commits. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Of what it says; a repository can hold more than fits into memory. */
  readonly maxBytes?: number | undefined;
  /** As root: the user whose repository it is, and whose files it stays. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** @param operatorDir where the configuration file is kept */
export async function runGit(
  operatorDir: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<GitAnswer> {
  return await git(operatorDir, args, { signal });
}

/** @param operatorDir where the configuration file is kept; with `owner` git has none */
export async function git(
  operatorDir: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<GitAnswer> {
  const { signal, input, owner, maxBytes = MAX_BYTES } = options;
  const configuration = `${operatorDir}/gitconfig`;
  await writeIfDifferent(configuration, CONFIGURATION);
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const child = new Deno.Command("/usr/bin/git", {
    args: [...args],
    cwd: "/",
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: "/nonexistent",
      LC_ALL: "C.UTF-8",
      // Another user can't read ours.
      GIT_CONFIG_GLOBAL: owner === undefined ? configuration : "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_NO_LAZY_FETCH: "1",
      GIT_NO_REPLACE_OBJECTS: "1",
      GIT_OPTIONAL_LOCKS: "0",
      GIT_TERMINAL_PROMPT: "0",
      // What a sandbox and an older git can read.
      GIT_DEFAULT_REF_FORMAT: "files",
      GIT_ALLOW_PROTOCOL: "file",
      ...options.env,
    },
    ...owner,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }).spawn();
  const fed = input === undefined ? Promise.resolve() : feed(child.stdin, input);
  const [{ success, code }, { bytes, cut }, errors] = await Promise.all([
    child.status,
    readUpTo(child.stdout, maxBytes),
    readUpTo(child.stderr, MAX_WORDS),
    fed,
  ]);
  const decoder = new TextDecoder();
  const said = decoder.decode(errors.bytes).trim().split("\n");
  const why = said.filter((line) => /^(fatal|error): /.test(line)).map((line) =>
    line.replace(/^\w+: /, "")
  );
  if (deadline.aborted) why.unshift(`git did not end within ${DEADLINE_MS / 60_000} minutes`);
  return {
    ok: success,
    code,
    stdout: decoder.decode(bytes),
    bytes,
    cut,
    why: why[0] ?? said.at(-1) ?? "",
  };
}

async function feed(
  stdin: WritableStream<Uint8Array<ArrayBuffer>>,
  input: NonNullable<GitOptions["input"]>,
): Promise<void> {
  const stream = input instanceof Uint8Array ? new Blob([input]).stream() : input;
  // A git that ends before it has read all says why itself.
  await stream.pipeTo(stdin).catch(() => {});
}

/** What comes after that is not read: who writes it gets SIGPIPE. */
async function readUpTo(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  max: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; cut: boolean }> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > max) break;
  }
  const cut = length > max;
  return { bytes: (await new Blob(chunks).bytes()).subarray(0, max), cut };
}
