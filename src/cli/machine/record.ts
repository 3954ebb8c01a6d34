// SPDX-License-Identifier: Apache-2.0

/** What the operator keeps of a machine that was provisioned, and what a published key must match. */
import * as z from "zod/mini";
import { isPossessed } from "../../lib/sealed/mod.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import type { CommandContext } from "../framework/command.ts";
import type { Machine } from "./fleet.ts";

/** `<state>/operator/machines/<name>.json`, 0600. */
export const ProvisionRecord = z.object({
  version: z.literal(1),
  /** User id. */
  machine: z.string(),
  /** Worthless once the machine has joined. Secret. */
  one_time_password: z.string(),
  challenge: z.object({ publicKey: z.string(), privateKey: z.string() }),
  issued_at: z.int(),
  expires_at: z.int(),
});
export type ProvisionRecord = z.infer<typeof ProvisionRecord>;

const dirOf = ({ stateDir }: CommandContext) => `${stateDir}/operator/machines`;

export async function readRecord(
  context: CommandContext,
  name: string,
): Promise<ProvisionRecord | null> {
  const known = z.safeParse(ProvisionRecord, await readJson(`${dirOf(context)}/${name}.json`));
  return known.success ? known.data : null;
}

export async function writeRecord(
  context: CommandContext,
  name: string,
  record: ProvisionRecord,
): Promise<void> {
  await Deno.mkdir(dirOf(context), { recursive: true, mode: 0o700 });
  await writeIfDifferent(`${dirOf(context)}/${name}.json`, JSON.stringify(record));
}

export async function removeRecord(context: CommandContext, name: string): Promise<void> {
  for (const path of [`${dirOf(context)}/${name}.json`, bootFilePath(context, name)]) {
    await Deno.remove(path).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }
}

export const bootFilePath = ({ stateDir }: CommandContext, name: string): string =>
  `${stateDir}/operator/machines/${name}.boot.json`;

/**
 * Why the machine's key must not be sealed to; null when it may. The homeserver could put another key in
 * the place of a machine's: of one that was provisioned here, the key comes with a proof that it can't make.
 */
export async function keyProblem(
  context: CommandContext,
  machine: Machine,
): Promise<string | null> {
  if (machine.revoked !== null) return `it was revoked at ${machine.revoked}`;
  if (machine.key === null) return "it has published no key of its own";
  const record = await readRecord(context, machine.name);
  if (record === null) return null;
  const { proof, public_key, published_at } = machine.key;
  if (
    proof === null || !await isPossessed(record.challenge, public_key, machine.user_id, proof)
  ) {
    return "its key comes without the proof of its boot file";
  }
  if (published_at === null || published_at > record.expires_at) {
    return "its key was published after its boot file had expired";
  }
  return null;
}
