// SPDX-License-Identifier: Apache-2.0

/**
 * Moves one branch of the source to a commit that was made in our repository: objects first, then the
 * branch, which git moves only from where we saw it. Where it is checked out, git moves the work tree along, and only
 * one that is clean.
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { CliError } from "../../framework/exit.ts";
import { type View, who } from "./look.ts";

/** Fewer become files of their own, as when git fetches. */
const LOOSE = 100;

/** @returns the work tree that moved along; null: the branch is checked out nowhere */
export async function moveBranch(
  view: View,
  branch: string,
  commit: string,
): Promise<string | null> {
  const { source, against } = view;
  const places = against === null ? [] : await source.checkouts(branch);
  const [place] = places;
  if (place !== undefined) await mustBeReady(view, branch, places, commit);
  await sendObjects(view, commit);
  if (place === undefined) {
    const zero = "0".repeat(commit.length);
    const { ok, why } = await source.git([
      "update-ref",
      "-m",
      `bureau: work of ${who(view.record)}`,
      `refs/heads/${branch}`,
      commit,
      against?.commit ?? zero,
    ]);
    if (!ok) throw failed(view, branch, why);
    return null;
  }
  const { ok, why } = await source.git(
    ["merge", "--ff-only", "--quiet", "--no-stat", "--no-autostash", commit],
    undefined,
    place.path,
  );
  if (!ok) throw failed(view, branch, why);
  return place.path;
}

function failed({ record, source }: View, branch: string, why: string): CliError {
  return new CliError(
    "not-moved",
    `Cannot move ${branch} of "${source.path}" to the work of "${who(record)}": ${
      neutraliseLine(why)
    }`,
    { hint: "its branch and its files are as they were" },
  );
}

/** @throws {CliError} `dirty`, `busy`, `filtered` */
async function mustBeReady(
  view: View,
  branch: string,
  places: readonly { path: string; busy: boolean }[],
  commit: string,
): Promise<void> {
  const { source, against, record } = view;
  const [place] = places;
  const other = `--into another branch; a new name makes one`;
  if (places.length > 1 || place!.busy) {
    throw new CliError(
      "busy",
      `Cannot move ${branch}: ${
        place!.busy ? "it is being rebased in" : "it is checked out more than once, in"
      } "${neutraliseLine(place!.path)}"`,
      { hint: `finish that, or merge ${other}` },
    );
  }
  const changed = await source.changedIn(place!.path);
  if (changed === null || changed.length > 0) {
    const some = (changed ?? []).slice(0, 5).map(neutraliseLine).join(", ");
    throw new CliError(
      "dirty",
      `Cannot merge into ${branch}: it is checked out in "${neutraliseLine(place!.path)}", ` +
        `which has changes of its own${some === "" ? "" : `: ${some}`}`,
      { hint: `commit or stash them, or merge ${other}` },
    );
  }
  const filtered = await filteredPaths(view, against!.commit, commit);
  if (filtered.length > 0) {
    throw new CliError(
      "filtered",
      `Cannot update the files in "${
        neutraliseLine(place!.path)
      }": a filter (as of LFS) of your own git writes ${
        filtered.slice(0, 5).map(neutraliseLine).join(", ")
      }`,
      {
        hint: `bring it as a branch, and let your git do it: bureau agent merge ${
          who(record)
        } --into ${record.branch}, then git merge ${record.branch}`,
      },
    );
  }
}

/** Changed paths which attributes give a filter that this process would not run. */
async function filteredPaths(
  { repository }: View,
  from: string,
  to: string,
): Promise<string[]> {
  const env = { GIT_INDEX_FILE: `${repository.dir}/index-of-result` };
  const changed = await repository.git([
    "diff",
    "--no-renames",
    "--name-only",
    "-z",
    from,
    to,
    "--",
  ]);
  if (changed === "") return [];
  await repository.git(["read-tree", to], env);
  const { stdout } = await repository.try(
    ["check-attr", "--cached", "--stdin", "-z", "filter"],
    new TextEncoder().encode(changed),
    env,
  );
  const words = stdout.split("\0");
  const filtered: string[] = [];
  for (let at = 0; at + 2 < words.length; at += 3) {
    if (!["unspecified", "unset"].includes(words[at + 2]!)) filtered.push(words[at]!);
  }
  return filtered;
}

/** What the source lacks of `commit`, through a pipe: neither side needs rights at the other's files. */
async function sendObjects({ repository, source }: View, commit: string): Promise<void> {
  const have = (await source.tips()).map((oid) => `^${oid}`);
  const asked = new TextEncoder().encode(`${[commit, ...have].join("\n")}\n`);
  const count = Number(
    (await repository.try(["rev-list", "--objects", "--count", "--stdin"], asked)).stdout,
  );
  if (count === 0) return;
  const { ok, why } = await source.git(
    count < LOOSE ? ["unpack-objects", "-q", "--strict"] : ["index-pack", "--stdin", "--strict"],
    await repository.packed(asked),
  );
  if (ok) return;
  throw new CliError(
    "not-moved",
    `Cannot write into "${source.path}": ${neutraliseLine(why)}`,
    { hint: "its branches and files are as they were" },
  );
}
