// SPDX-License-Identifier: Apache-2.0

/** `credential provision`: further credentials for an agent, beside those that it has. */
import type { CredentialPart } from "../../lib/schema/mod.ts";
import { parseCredentials, type SealedInput } from "../agent/credentials.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { whereAssigned } from "../machine/target.ts";
import { loadSession, loadSigningKey, matrixClient, principalOf } from "../session.ts";
import { expiryOf, parseJson, readSecretInput } from "./input.ts";
import { CredentialStore } from "./store.ts";
import { lookBefore, type Taken, tellTaken } from "./taken.ts";
import type * as results from "./results.ts";

export const provision: CommandHandler<typeof results.provision> = async (call) => {
  const expiresAt = expiryOf(call);
  const given = parseCredentials(
    parseJson(await readSecretInput(call.args[1], "Credentials, as JSON in one line")),
  );
  if (Object.keys(given).length === 0) {
    throw new CliError("usage", "Cannot provision: the document names no credential");
  }
  return await provisionThese(call, given, expiresAt);
};

/** Seals them, and says what was done. */
export async function provisionThese(
  call: Invocation,
  given: SealedInput,
  expiresAt: number | undefined,
): Promise<{ principal: string; added: string[]; replaced: string[]; taken: Taken }> {
  const home = await loadSession(call);
  const localpart = principalOf(home, call.args[0]!);
  const session = await whereAssigned(matrixClient(home), home, localpart);
  const store = new CredentialStore(matrixClient(session), session, await loadSigningKey(call));
  const present = await store.read(localpart);
  const recipients = await store.recipients(call);
  const parts: Record<string, CredentialPart> = {};
  for (const [name, credential] of Object.entries(given)) {
    const previous = present.parts?.[name];
    parts[name] = await store.part(localpart, name, credential, recipients, {
      expiresAt: expiresAt ?? credential.expires_at,
      previous,
    });
  }
  const watched = await lookBefore(call, session, localpart);
  const written = await store.add(localpart, present, parts);
  const replaced = Object.keys(given).filter((name) => present.keys.includes(name));
  const added = Object.keys(given).filter((name) => !present.keys.includes(name));
  if (added.length > 0) call.print(`${localpart} has ${added.join(", ")} now`);
  if (replaced.length > 0) call.print(`${localpart} has a new ${replaced.join(", ")}`);
  const taken = await tellTaken(call, session, watched, written);
  return { principal: localpart, added, replaced, taken };
}
