// SPDX-License-Identifier: Apache-2.0

/** What came out of the cell: lines that say what there is, then a pack. Nothing of it is believed yet. */
import { CliError } from "../../framework/exit.ts";

const MAX_HEADER = 512 * 1024;
const decoder = new TextDecoder();

export interface Names {
  readonly count: number;
  /** The first of them. Hostile text. */
  readonly names: readonly string[];
}

export interface CollectedWork {
  readonly head: string;
  /** What is checked out; null: no branch. Hostile text. */
  readonly branch: string | null;
  /** A commit of what is not committed. */
  readonly snapshot: string | null;
  /** Files that are too large to come along. */
  readonly large: Names;
  /** Repositories inside. */
  readonly nested: Names;
  /** With commits that `head` lacks. Hostile text. */
  readonly branches: readonly { readonly name: string; readonly commits: number }[];
  readonly pack: ReadableStream<Uint8Array<ArrayBuffer>> | null;
}

/** Why the cell gave nothing, as it says it, and what to do. */
const FAILURES: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  "no-workspace": ["its directory can't be entered", "look at the rights of its workspace"],
  "no-repository": [
    "there is no git repository any more",
    "`bureau agent discard` gives it a new clone",
  ],
  "no-head": ["nothing is checked out that has a commit", "have it check out its branch"],
  "no-branch": ["it has no such branch", "`bureau agent diff` names its other branches"],
  "no-commit": [
    "the commit that it has checked out is missing or broken",
    "have it look: git fsck",
  ],
  "missing-objects": ["objects of its commits are missing or broken", "have it look: git fsck"],
  "no-tools": [
    "a sandbox here lacks git, awk or one of the usual small programs",
    "install git and the system's basic programs",
  ],
  "no-room": ["there is no room to look at it", "free some memory"],
  "unreadable": ["files changed or could not be read meanwhile", "try again when it is idle"],
  "too-many-files": ["more than 20000 files are not committed", "have it ignore what it builds"],
  "too-much-uncommitted": [
    "more than 512 MiB are not committed",
    "have it ignore what it builds (.gitignore), or commit in parts",
  ],
  "too-many-objects": ["it has more than 500000 new objects", "merge in parts"],
  "file-too-large": ["a file of more than 100 MiB is committed", "have it take that out"],
  "too-large": ["its commits hold more than 2 GiB", "have it take out what is generated"],
};

const unusable = (why: string, hint = "run it again; the lines above may say more") =>
  new CliError("no-work", `Cannot read the agent's work: ${why}`, { hint });

const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** @throws {CliError} `no-work` */
export async function readStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<CollectedWork> {
  const reader = stream.getReader();
  let head = new Uint8Array(0);
  let lines: string[] = [];
  let searched = 0;
  let end: string | null = null;
  let start = 0;
  while (end === null) {
    const { value, done } = await reader.read();
    if (done) throw unusable("what came is cut off");
    const joined = new Uint8Array(head.length + value.length);
    joined.set(head);
    joined.set(value, head.length);
    head = joined;
    for (let at = head.indexOf(10, searched); at >= 0; at = head.indexOf(10, searched)) {
      const line = decoder.decode(head.subarray(searched, at));
      searched = at + 1;
      if (line === "pack" || line === "end") {
        [end, start] = [line, searched];
        break;
      }
      lines.push(line);
    }
    if (end === null && head.length > MAX_HEADER) throw unusable("what came has no end");
  }
  const failed = lines.find((line) => line.startsWith("failed "))?.slice("failed ".length);
  if (failed !== undefined) {
    const [why, hint] = Object.hasOwn(FAILURES, failed)
      ? FAILURES[failed]!
      : ["it can't be told why", undefined];
    throw unusable(why, hint);
  }
  if (lines[0] !== "bureau-work 1") throw unusable("what came is something else");
  lines = lines.slice(1);
  const fields = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) =>
      line.slice(name.length + 1).split(" ")
    );
  const [commit = "", branch = ""] = fields("head")[0] ?? [];
  const [snapshot = ""] = fields("snapshot")[0] ?? [];
  if (!OID.test(commit) || (snapshot !== "-" && !OID.test(snapshot))) {
    throw unusable("what came names no commit");
  }
  if (end === "end") await reader.cancel();
  return {
    head: commit,
    branch: text(branch) || null,
    snapshot: snapshot === "-" ? null : snapshot,
    large: names(fields("large")[0]),
    nested: names(fields("nested")[0]),
    branches: fields("branch").slice(0, 100).map(([count, name]) => ({
      name: text(name ?? ""),
      commits: number(count),
    })),
    pack: end === "pack" ? rest(head.slice(start), reader) : null,
  };
}

function number(text: string | undefined): number {
  return /^\d{1,9}$/.test(text ?? "") ? Number(text) : 0;
}

function text(base64: string): string {
  try {
    return decoder.decode(Uint8Array.fromBase64(base64));
  } catch {
    throw unusable("what came is garbled");
  }
}

function names([count, list]: readonly string[] = []): Names {
  return { count: number(count), names: text(list ?? "").split("\n").filter(Boolean) };
}

function rest(
  first: Uint8Array<ArrayBuffer>,
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => first.length > 0 ? controller.enqueue(first) : undefined,
    async pull(controller) {
      const { value, done } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
