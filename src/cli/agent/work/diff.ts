// SPDX-License-Identifier: Apache-2.0

/** `agent diff` and `agent log`: what an agent did, as text that no terminal obeys. */
import { neutralise, neutraliseLine } from "../../../lib/terminal/mod.ts";
import type { CommandHandler, Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import { ago } from "../list.ts";
import { notes, openView, summaryOf, type View, who } from "./look.ts";
import { lookText } from "./record.ts";
import type * as results from "../results.ts";

/** Beyond it nobody reads; `--stat` says what there is. */
const MAX_PATCH = 16 * 2 ** 20;
const PLAIN = [
  "--no-color",
  "--no-ext-diff",
  "--no-textconv",
  "--find-renames",
  "--submodule=short",
];

interface ChangedFile {
  readonly path: string;
  /** Null: binary. */
  readonly added: number | null;
  readonly deleted: number | null;
}

export const diff: CommandHandler<typeof results.diff> = async (call) => {
  await using view = await openView(call);
  return view === null ? undefined : await diffOf(call, view);
};

/** What `call` is asked by: its flags, and where it writes. */
export type Asked = Pick<Invocation, "stateDir" | "signal" | "flags" | "print">;

export async function diffOf(call: Asked, view: View) {
  const { repository, work, from } = view;
  const to = call.flags["committed"] === true ? work.head : work.snapshot ?? work.head;
  const files = await changedFiles(view, from, to);
  const uncommitted = to === work.head ? [] : view.uncommitted;
  const wantsPatch = call.flags["stat"] !== true;
  const patch = wantsPatch ? await repository.patch([...PLAIN, from, to, "--"], MAX_PATCH) : null;
  if (patch !== null && !patch.ok && !patch.cut) {
    throw new CliError("git", `Cannot compare: ${neutraliseLine(patch.why)}`);
  }
  const text = patch === null ? null : patch.stdout;
  call.print(`${who(view.record)} ${lookText(view.record)}`);
  for (const note of notes(view)) call.print(note);
  for (const line of statLines(files, uncommitted)) call.print(line);
  if (text !== null && text !== "") {
    call.print("");
    call.print(neutralise(text).replace(/\n$/, ""));
  }
  const truncated = patch?.cut === true;
  if (truncated) call.print(`-- more than ${MAX_PATCH / 2 ** 20} MiB; the rest is not shown`);
  return {
    ...summaryOf(view),
    files: files.map((file) => ({ ...file, uncommitted: uncommitted.includes(file.path) })),
    ...(text === null ? {} : { patch: text, truncated }),
  };
}

async function changedFiles(
  { repository }: View,
  from: string,
  to: string,
): Promise<ChangedFile[]> {
  const out = await repository.git([
    "diff",
    ...PLAIN,
    "--no-renames",
    "--numstat",
    "-z",
    from,
    to,
    "--",
  ]);
  return out.split("\0").filter(Boolean).map((line) => {
    const [added = "", deleted = "", ...path] = line.split("\t");
    const count = (text: string) => text === "-" ? null : Number(text);
    return { path: path.join("\t"), added: count(added), deleted: count(deleted) };
  });
}

function statLines(files: readonly ChangedFile[], uncommitted: readonly string[]): string[] {
  const open = new Set(uncommitted);
  return files.map(({ path, added, deleted }) =>
    `  ${added === null ? "binary" : `+${added} -${deleted}`}`.padEnd(14) +
    neutraliseLine(path) + (open.has(path) ? "  (not committed)" : "")
  );
}

export const log: CommandHandler<typeof results.log> = async (call) => {
  const limit = Number(call.flags["limit"]);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new CliError("usage", "Cannot show so many commits: --limit takes 1 to 10000");
  }
  await using view = await openView(call);
  return view === null ? undefined : await logOf(call, view, limit);
};

export async function logOf(call: Asked, view: View, limit: number) {
  const { repository, work, from, against } = view;
  const out = await repository.git([
    "log",
    "-z",
    `--max-count=${limit}`,
    "--no-color",
    "--no-show-signature",
    "--encoding=UTF-8",
    "--format=%H%x01%an%x01%ae%x01%at%x01%s%x01%b",
    work.head,
    `^${against?.commit ?? from}`,
    `^${from}`,
    "--",
  ]);
  const commits = out.split("\0").filter(Boolean).map((entry) => {
    const [commit = "", author = "", email = "", at = "0", subject = "", ...body] = entry.split(
      "\x01",
    );
    return {
      commit,
      author,
      email,
      at: Number(at) * 1000,
      subject,
      body: body.join("\x01").trim(),
    };
  });
  call.print(`${who(view.record)} ${lookText(view.record)}`);
  for (const note of notes(view)) call.print(note);
  for (const { commit, author, at, subject } of commits) {
    call.print(
      neutraliseLine(`${commit.slice(0, 10)}  ${ago(at).padStart(7)}  ${author}: ${subject}`),
    );
  }
  if (view.uncommitted.length > 0) {
    call.print(`not committed: ${view.uncommitted.slice(0, 20).map(neutraliseLine).join(", ")}`);
  }
  return { ...summaryOf(view), commits };
}
