// SPDX-License-Identifier: Apache-2.0

/** `credential reseal`: what was sealed to a machine key that is gone, sealed to the present one. */
import { parseUserId } from "../../lib/ref/mod.ts";
import type { CredentialBundle, CredentialPart, Credentials } from "../../lib/schema/mod.ts";
import type { Secret } from "../../lib/secret/mod.ts";
import { SealedError, unsealBundle } from "../../lib/sealed/mod.ts";
import { agentAccount } from "../agent/account.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
} from "../session.ts";
import type { SigningKey } from "../../lib/signature/mod.ts";
import { escrowIdentity } from "./escrow.ts";
import { CredentialStore, type Recipients } from "./store.ts";
import type * as results from "./results.ts";

interface Job {
  readonly call: Invocation;
  readonly session: OperatorSession;
  readonly key: SigningKey;
  readonly store: CredentialStore;
  readonly recipients: Recipients;
  /** Null: there is no escrow. */
  readonly identity: Secret | null;
}

export const reseal: CommandHandler<typeof results.reseal> = async (call) => {
  const session = await loadSession(call);
  const key = await loadSigningKey(call);
  const store = new CredentialStore(matrixClient(session), session, key);
  const events = call.args[0] === undefined
    ? await store.all()
    : [await store.read(principalOf(session, call.args[0]))];
  const recipients = await store.recipients(call);
  using identity = await escrowIdentity(call);
  const job = { call, session, key, store, recipients, identity };
  const resealed: string[] = [];
  const lost: { principal: string; credentials: string[] }[] = [];
  for (const event of events) {
    const principal = parseUserId(event.principal).localpart;
    const missing = await resealOne(job, principal, event);
    if (missing.length === 0) {
      resealed.push(principal);
      call.print(`${shortName(principal)} is sealed to this machine's key`);
    } else {
      lost.push({ principal, credentials: missing });
      call.print(
        `${shortName(principal)}: nothing can open ${missing.join(", ")}: give them again with ` +
          `\`bureau credential provision\`; nothing was changed`,
      );
    }
  }
  const result = { resealed, lost };
  return lost.length === 0 ? result : new Ended(result, Exit.failed);
};

/** @returns the credentials that nobody can open; then nothing is written */
async function resealOne(job: Job, principal: string, event: Credentials): Promise<string[]> {
  const machine = job.recipients.keys[0]!;
  const sealed = [event, ...Object.values(event.parts ?? {}).filter(({ removed }) => !removed)];
  if (sealed.every(({ recipients }) => recipients?.includes(machine) === true)) return [];
  const base = await openWith(job, event.ciphertext);
  const inBase = event.keys.filter((name) => event.parts?.[name] === undefined);
  const missing = base === null ? [...inBase] : [];
  const parts: Record<string, CredentialPart> = {};
  for (const [name, part] of Object.entries(event.parts ?? {})) {
    const again = await resealPart(job, principal, part);
    if (again === null) missing.push(name);
    else parts[name] = again;
  }
  if (missing.length > 0) return missing.sort();
  // An account's session can be made anew; its key was never the only way to it.
  const matrix = base?.matrix ?? await newSession(job, principal);
  await job.store.write(principal, {
    ...recipientsOf(job),
    keys: event.keys,
    ciphertext: await job.store.seal(principal, base?.credentials ?? {}, job.recipients, matrix),
    parts,
  });
  return [];
}

const recipientsOf = ({ recipients }: Job) => ({
  encrypted_for: [...recipients.names],
  recipients: [...recipients.keys],
});

async function resealPart(
  job: Job,
  principal: string,
  part: CredentialPart,
): Promise<CredentialPart | null> {
  // It is sealed to this machine already, as after `provision`; or there is nothing in it.
  if (part.removed || part.recipients?.includes(job.recipients.keys[0]!)) return part;
  const whole = await openWith(job, part.ciphertext);
  const rotated = part.rotated === undefined ? undefined : await openWith(job, part.rotated);
  if (whole === null || rotated === null) return null;
  const { signature: _s, issued_by: _b, issued_at: _a, ...rest } = part;
  return await job.store.sign({
    ...rest,
    ...recipientsOf(job),
    ciphertext: await job.store.seal(principal, whole.credentials, job.recipients),
    ...(rotated === undefined
      ? {}
      : { rotated: await job.store.seal(principal, rotated.credentials, job.recipients) }),
  }, part);
}

async function openWith(job: Job, ciphertext: string): Promise<CredentialBundle | null> {
  if (job.identity === null) return null;
  try {
    return await unsealBundle(ciphertext, job.identity);
  } catch (thrown) {
    if (thrown instanceof SealedError && thrown.code === "wrong-key") return null;
    throw thrown;
  }
}

async function newSession({ call, session, key }: Job, principal: string) {
  try {
    const account = await agentAccount(call, session, key, principal);
    return {
      homeserver_url: session.homeserver_url,
      user_id: account.user_id,
      access_token: account.access_token,
    };
  } catch (cause) {
    throw new CliError(
      "no-session",
      `Cannot seal for "${principal}": nothing can open its session, and a new one can't be made`,
      { cause, hint: "`bureau agent create` makes the agent anew" },
    );
  }
}
