// SPDX-License-Identifier: Apache-2.0

/**
 * What is known of an agent's repository, in a file that no agent can reach: where it came from, its
 * branch, and what the last look found. `agent list` shows that without running anything.
 */
import * as z from "zod/mini";
import { principalHash } from "../../../lib/ref/mod.ts";
import { readJson, writeIfDifferent } from "../../files.ts";
import { CliError } from "../../framework/exit.ts";

const Oid = z.string().check(z.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/));

const Look = z.object({
  at: z.number(),
  head: Oid,
  /** Of the branch that it would be merged into; null: there is none. */
  against: z.nullable(z.string()),
  ahead: z.number(),
  behind: z.number(),
  /** Files. */
  uncommitted: z.number(),
});
export type Look = z.infer<typeof Look>;

const WorkRecord = z.object({
  version: z.literal(1),
  principal: z.string(),
  /** The repository that it was cloned from. */
  source: z.string(),
  /** Whose that is, where we are root. */
  owner: z.nullable(z.object({ uid: z.number(), gid: z.number() })),
  /** Where the clone is. */
  workspace: z.string(),
  branch: z.string(),
  /** As it was asked for. */
  from: z.nullable(z.string()),
  /** Of its commits. */
  identity: z.object({ name: z.string(), email: z.string() }),
  /** The commit that it began with. */
  base: z.nullable(Oid),
  /** The source's branch that it began from, and goes back to; null: it was none. */
  base_branch: z.nullable(z.string()),
  created_at: z.number(),
  look: z.optional(Look),
  /** What came back last. */
  merged: z.optional(z.object({
    head: Oid,
    into: z.string(),
    commit: Oid,
    squash: z.boolean(),
  })),
});
export type WorkRecord = z.infer<typeof WorkRecord>;

const directory = (stateDir: string) => `${stateDir}/operator/repositories`;
const fileOf = async (stateDir: string, principal: string) =>
  `${directory(stateDir)}/${await principalHash(principal)}.json`;

export async function readRecord(stateDir: string, principal: string): Promise<WorkRecord | null> {
  const parsed = z.safeParse(WorkRecord, await readJson(await fileOf(stateDir, principal)));
  return parsed.success ? parsed.data : null;
}

export async function writeRecord(stateDir: string, record: WorkRecord): Promise<void> {
  await Deno.mkdir(directory(stateDir), { recursive: true, mode: 0o700 });
  await writeIfDifferent(
    await fileOf(stateDir, record.principal),
    `${JSON.stringify(record, null, 2)}\n`,
  );
}

export async function removeRecord(stateDir: string, principal: string): Promise<void> {
  await Deno.remove(await fileOf(stateDir, principal));
}

export async function allRecords(stateDir: string): Promise<WorkRecord[]> {
  const records: WorkRecord[] = [];
  try {
    for await (const { name } of Deno.readDir(directory(stateDir))) {
      if (!/^[0-9a-f]{16}\.json$/.test(name)) continue;
      const parsed = z.safeParse(WorkRecord, await readJson(`${directory(stateDir)}/${name}`));
      if (parsed.success) records.push(parsed.data);
    }
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  return records.toSorted((a, b) => a.principal < b.principal ? -1 : 1);
}

/** @throws {CliError} `no-repository` */
export async function needRecord(stateDir: string, principal: string): Promise<WorkRecord> {
  const record = await readRecord(stateDir, principal);
  if (record !== null) return record;
  throw new CliError("no-repository", `Cannot find a repository of "${principal}" here`, {
    status: 404,
    hint:
      "an agent has one that was made with `agent create NAME --repo PATH` and a template that mounts ${WORKSPACE} writable",
  });
}

const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** `bureau/scribe: 2 commits ahead of main, 1 behind, 3 files uncommitted`. Names are the operator's own. */
export function lookText({ branch, look }: WorkRecord): string {
  if (look === undefined) return `${branch}: not looked at yet`;
  const { against, ahead, behind, uncommitted } = look;
  const parts = [
    ...(ahead > 0
      ? [`${plural(ahead, "commit")} ahead${against === null ? "" : ` of ${against}`}`]
      : []),
    ...(behind > 0 ? [`${behind} behind`] : []),
    ...(uncommitted > 0 ? [`${plural(uncommitted, "file")} uncommitted`] : []),
  ];
  return `${branch}: ${parts.join(", ") || `nothing that ${against ?? "its source"} lacks`}`;
}

export function hasUnmerged({ look }: WorkRecord): boolean {
  return look !== undefined && look.ahead + look.uncommitted > 0;
}
