// SPDX-License-Identifier: Apache-2.0

/**
 * One look at an agent's work. It takes two runs of this command: the first prints what is to run in a throw-away
 * cell (`tasks/bureau` has a launcher make it, because this process may not), the second has the cell's stream on
 * its stdin (`--work`).
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import type { Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import { builtinTemplate, handOver } from "../../sandbox/request.ts";
import { loadSession, principalOf } from "../../session.ts";
import { shortName } from "../list.ts";
import { Quarantine } from "./quarantine.ts";
import { needRecord, type WorkRecord, writeRecord } from "./record.ts";
import { collectCommand, TMP_BYTES } from "./script.ts";
import { SourceRepository } from "./source.ts";
import { type CollectedWork, readStream } from "./stream.ts";

export interface View extends AsyncDisposable {
  readonly record: WorkRecord;
  readonly source: SourceRepository;
  readonly repository: Quarantine;
  readonly work: CollectedWork;
  /** The source's branch that it is compared with, and that branch's commit. */
  readonly against: { readonly branch: string; readonly commit: string } | null;
  /** What of the agent's commits is in there by a squash, of which git knows nothing. */
  readonly squashed: string | null;
  /** The commit that its changes are counted from. */
  readonly from: string;
  readonly uncommitted: readonly string[];
}

/** @returns null after the first run */
export async function openView(call: Invocation, against?: string): Promise<View | null> {
  const record = await recordFor(call);
  const source = await openSource(call, record);
  const have = [...new Set([...await source.tips(), ...await inSource(source, record.base)])];
  if (call.flags["work"] !== true) {
    await handOverLook(call, record, await source.objectFormat(), have);
    return null;
  }
  return await viewOf(
    call,
    record,
    source,
    have,
    await readStream(Deno.stdin.readable),
    against,
  );
}

export async function recordFor(call: Invocation): Promise<WorkRecord> {
  const session = await loadSession(call);
  return await needRecord(call.stateDir, principalOf(session, call.args[0]!));
}

export function openSource(
  call: Pick<Invocation, "stateDir" | "signal">,
  record: Pick<WorkRecord, "source" | "owner">,
): Promise<SourceRepository> {
  return SourceRepository.open({
    operatorDir: `${call.stateDir}/operator`,
    path: record.source,
    owner: record.owner,
    signal: call.signal,
  });
}

async function inSource(source: SourceRepository, commit: string | null): Promise<string[]> {
  return commit !== null && await source.commit(commit) !== null ? [commit] : [];
}

async function handOverLook(
  call: Invocation,
  record: WorkRecord,
  format: string,
  have: readonly string[],
): Promise<void> {
  const there = await Deno.lstat(record.workspace).then((info) => info.isDirectory, () => false);
  if (!there) {
    throw new CliError("no-workspace", `Cannot find the work of "${record.principal}"`, {
      status: 404,
      hint: `its clone was at ${record.workspace}; \`bureau agent discard\` forgets it`,
    });
  }
  const ref = call.flags["ref"];
  handOver(call, "run", {
    template: {
      ...await builtinTemplate("base"),
      filesystem: [{ dest: "/tmp", type: "tmpfs", options: `size=${TMP_BYTES}` }],
    },
    binds: [{ source: record.workspace, dest: "/workspace", mode: "ro" }],
    command: collectCommand({ format, ref: typeof ref === "string" ? ref : null, have }),
    terminal: false,
  });
}

/** @throws {CliError} `bad-objects`, `no-source`, `no-such-branch` */
export async function viewOf(
  call: Pick<Invocation, "stateDir" | "signal">,
  record: WorkRecord,
  source: SourceRepository,
  have: readonly string[],
  work: CollectedWork,
  wanted?: string,
): Promise<View> {
  const repository = await Quarantine.make(`${call.stateDir}/operator`, source, call.signal);
  try {
    await repository.take(work, have);
    const name = wanted ?? record.base_branch;
    const commit = name === null ? null : await source.commit(`refs/heads/${name}`);
    const against = name === null || commit === null ? null : { branch: name, commit };
    const squashed = await squashedInto(repository, record, work, against?.commit ?? null);
    const from = squashed ?? await forkPoint(repository, record, work, against?.commit ?? null);
    const uncommitted = await uncommittedIn(repository, work, against?.commit ?? null);
    const base = against === null ? from : against.commit;
    const next: WorkRecord = {
      ...record,
      look: {
        at: Date.now(),
        head: work.head,
        against: against?.branch ?? null,
        ahead: await repository.count(work.head, `^${base}`, `^${from}`),
        behind: against === null ? 0 : await repository.count(against.commit, `^${work.head}`),
        uncommitted: uncommitted.length,
      },
    };
    // A look at one of its other branches, or against one, is not where it stands.
    const usual = wanted === undefined || wanted === record.base_branch;
    if (usual && callRef(call) === undefined) await writeRecord(call.stateDir, next);
    return {
      record: next,
      source,
      repository,
      work,
      against,
      squashed,
      from,
      uncommitted,
      [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose](),
    };
  } catch (thrown) {
    await repository[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** Files that are as neither its commits nor the other branch has them. */
async function uncommittedIn(
  repository: Quarantine,
  { head, snapshot }: CollectedWork,
  target: string | null,
): Promise<string[]> {
  if (snapshot === null) return [];
  const changed = async (from: string) =>
    (await repository.git(["diff-tree", "-r", "-z", "--name-only", from, snapshot]))
      .split("\0").filter(Boolean);
  const own = await changed(head);
  if (target === null) return own;
  const open = new Set(await changed(target));
  return own.filter((path) => open.has(path));
}

function callRef(call: Partial<Invocation>): unknown {
  return call.flags?.["ref"];
}

async function squashedInto(
  repository: Quarantine,
  { merged }: WorkRecord,
  { head }: CollectedWork,
  target: string | null,
): Promise<string | null> {
  if (merged === undefined || !merged.squash || target === null) return null;
  if (!await repository.has(merged.head) || !await repository.has(merged.commit)) return null;
  const holds = await repository.isAncestor(merged.commit, target) &&
    await repository.isAncestor(merged.head, head);
  return holds ? merged.head : null;
}

async function forkPoint(
  repository: Quarantine,
  { base }: WorkRecord,
  { head }: CollectedWork,
  target: string | null,
): Promise<string> {
  if (target !== null) {
    const { ok, stdout } = await repository.try(["merge-base", target, head]);
    if (ok) return stdout.trim();
  }
  if (base !== null && await repository.has(base)) return base;
  // Nothing in common: all of it is new.
  return (await repository.try(["hash-object", "-t", "tree", "--stdin"], new Uint8Array(0)))
    .stdout.trim();
}

/** What stays out, and what else there is: lines for a person. */
export function notes({ work, record }: View): string[] {
  const list = ({ count, names }: { count: number; names: readonly string[] }) =>
    names.slice(0, 5).map(neutraliseLine).join(", ") + (count > 5 ? `, and ${count - 5} more` : "");
  return [
    ...(work.branch === record.branch ? [] : [
      work.branch === null
        ? `it has no branch checked out; its own is ${record.branch}`
        : `this is its branch ${neutraliseLine(work.branch)}; its own is ${record.branch}`,
    ]),
    ...(work.large.count === 0
      ? []
      : [`left out, larger than 100 MiB and not committed: ${list(work.large)}`]),
    ...(work.nested.count === 0
      ? []
      : [`left out, repositories of their own inside: ${list(work.nested)}`]),
    ...work.branches.map(({ name, commits }) =>
      `its branch ${neutraliseLine(name)} has ${commits} more: --ref ${neutraliseLine(name)}`
    ),
  ];
}

/** For `--json`. */
export function summaryOf({ record, work, against, uncommitted }: View) {
  return {
    principal: record.principal,
    source: record.source,
    branch: work.branch,
    head: work.head,
    against: against?.branch ?? null,
    ahead: record.look!.ahead,
    behind: record.look!.behind,
    uncommitted,
    left_out: [...work.large.names, ...work.nested.names],
    other_branches: work.branches,
  };
}

export const who = (record: WorkRecord) => shortName(record.principal);
