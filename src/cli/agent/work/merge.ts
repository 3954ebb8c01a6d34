// SPDX-License-Identifier: Apache-2.0

/**
 * `agent merge`: an agent's work into a branch of the repository that it came from. The result is made in our own
 * repository first; the source gets objects and then one move of one branch, or nothing.
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import type { CommandHandler } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import type { Asked } from "./diff.ts";
import { notes, openView, summaryOf, type View, who } from "./look.ts";
import { readRecord, writeRecord } from "./record.ts";
import { moveBranch } from "./move.ts";
import type * as results from "../results.ts";

export const merge: CommandHandler<typeof results.merge> = async (call) => {
  await using view = await openView(call, call.flags["into"] as string | undefined);
  return view === null ? undefined : await mergeView(call, view);
};

/** @throws {CliError} `conflict`, `uncommitted`, `dirty`, `busy`, `filtered`, `not-moved` */
export async function mergeView(call: Asked, view: View) {
  const into = call.flags["into"] as string | undefined;
  const { record, work } = view;
  const branch = into ?? record.base_branch;
  if (branch === null) {
    throw new CliError("usage", `Cannot merge the work of "${who(record)}": into which branch?`, {
      hint: "it began at a commit that is no branch's: name one with --into",
    });
  }
  const valid = await view.repository.try(["check-ref-format", `refs/heads/${branch}`]);
  if (!valid.ok || branch.startsWith("-")) {
    throw new CliError("usage", `Cannot merge into "${branch}": git allows no such branch`);
  }
  const theirs = await whatToMerge(call, view);
  const result = await resultOf(call, view, branch, theirs);
  for (const note of notes(view)) call.print(note);
  const done = { ...summaryOf(view), into: branch, squash: call.flags["squash"] === true };
  if (result.kind === "nothing") {
    call.print(`${branch} has all of it already; nothing changed`);
    return { ...done, changed: false, commit: null, work_tree: null };
  }
  const how = await moveBranch(view, branch, result.commit);
  // What stands where nobody asked for another branch, on either side.
  const isUsual = branch === record.base_branch && call.flags["ref"] === undefined;
  const known = await readRecord(call.stateDir, record.principal);
  await writeRecord(call.stateDir, {
    ...record,
    look: isUsual ? { ...record.look!, at: Date.now(), ahead: 0, uncommitted: 0 } : known?.look,
    merged: { head: work.head, into: branch, commit: result.commit, squash: done.squash },
  });
  call.print(
    `${branch} ${result.kind === "forward" ? "is now" : "has it by the commit"} ${
      result.commit.slice(0, 10)
    }` +
      (how === null ? "" : `, and so has the work tree ${neutraliseLine(how)}`),
  );
  return { ...done, changed: true, commit: result.commit, work_tree: how };
}

/** @returns the commit @throws {CliError} `uncommitted` */
async function whatToMerge(call: Asked, view: View): Promise<string> {
  const { work, uncommitted, record } = view;
  if (uncommitted.length === 0) return work.head;
  if (call.flags["include-uncommitted"] !== true) {
    const some = uncommitted.slice(0, 5).map(neutraliseLine).join(", ");
    throw new CliError(
      "uncommitted",
      `Cannot merge the work of "${who(record)}": it has not committed ${some}` +
        (uncommitted.length > 5 ? `, and ${uncommitted.length - 5} more` : ""),
      { hint: "have it commit, or take it as it is: --include-uncommitted" },
    );
  }
  const message = `Uncommitted work of ${who(record)}`;
  return await view.repository.git(
    ["commit-tree", "-p", work.head, "-m", message, `${work.snapshot}^{tree}`],
    by(record.identity.name, record.identity.email),
  );
}

type Result =
  | { readonly kind: "nothing" }
  | { readonly kind: "forward" | "made"; readonly commit: string };

/** @throws {CliError} `conflict` */
async function resultOf(
  call: Asked,
  view: View,
  branch: string,
  theirs: string,
): Promise<Result> {
  const { repository, against, record } = view;
  const squash = call.flags["squash"] === true;
  const message = call.flags["message"] as string | undefined;
  // A branch that is not there yet: the work as it is.
  if (against === null) return { kind: "forward", commit: theirs };
  const ours = against.commit;
  if (await repository.isAncestor(theirs, ours)) return { kind: "nothing" };
  const isForward = await repository.isAncestor(ours, theirs);
  if (isForward && !squash && message === undefined) return { kind: "forward", commit: theirs };
  const tree = isForward ? `${theirs}^{tree}` : await mergedTree(view, branch, ours, theirs);
  const [before, after] = await Promise.all(
    [`${ours}^{tree}`, tree].map((name) => repository.git(["rev-parse", name])),
  );
  if (before === after) return { kind: "nothing" };
  const [name, email] = await whoMerges(call, view);
  const parents = squash ? ["-p", ours] : ["-p", ours, "-p", theirs];
  const text = message ??
    `${squash ? "Work" : "Merge the work"} of ${who(record)} (${record.branch})`;
  const commit = await repository.git(
    ["commit-tree", ...parents, "-m", text, tree],
    by(name, email),
  );
  return { kind: "made", commit };
}

/** @throws {CliError} `conflict`, with the files */
async function mergedTree(
  view: View,
  branch: string,
  ours: string,
  theirs: string,
): Promise<string> {
  const { repository, squashed, record, source } = view;
  // Git knows nothing of what came by a squash: for it alone, a commit that says so.
  const known = squashed === null ? ours : await repository.git(
    ["commit-tree", "-p", ours, "-p", squashed, "-m", "known", `${ours}^{tree}`],
    by("bureau", "bureau@localhost"),
  );
  const { code, stdout, why } = await repository.try([
    "merge-tree",
    "--write-tree",
    "--name-only",
    "-z",
    "--no-messages",
    known,
    theirs,
  ]);
  const [tree = "", ...files] = stdout.split("\0");
  if (code === 0) return tree;
  if (code !== 1) {
    throw new CliError("git", `Cannot merge: ${neutraliseLine(why)}`, {
      hint: "merging needs git 2.38 or newer; `--into NEW-BRANCH` brings the work as it is",
    });
  }
  const names = [...new Set(files.filter(Boolean))].map(neutraliseLine);
  throw new CliError(
    "conflict",
    `Cannot merge the work of "${who(record)}" into ${branch}: both changed ${
      names.slice(0, 50).join(", ")
    }${names.length > 50 ? `, and ${names.length - 50} more` : ""}`,
    {
      hint:
        `nothing was changed; \`bureau agent merge ${
          who(record)
        } --into ${record.branch}\` brings it into ${source.path} ` +
        "as a branch of its own, to be merged there by hand",
    },
  );
}

/** As the repository says, or `--as 'NAME <EMAIL>'`, which `tasks/bureau` takes from the person's own git. */
async function whoMerges(call: Asked, { source }: View): Promise<readonly [string, string]> {
  const own = await Promise.all(
    ["user.name", "user.email"].map(async (key) =>
      (await source.git(["config", "--get", key])).stdout.trim()
    ),
  );
  const given = /^([^<>\n]{1,200}) <([^<>\n]{1,200})>$/.exec(String(call.flags["as"] ?? ""));
  return [
    own[0] || given?.[1] || "Bureau operator",
    own[1] || given?.[2] || "operator@bureau",
  ];
}

function by(name: string, email: string): Record<string, string> {
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
}
