// SPDX-License-Identifier: Apache-2.0

/** `credential rotate`: a new value for a credential, whose hosts and uses stay as they were sealed. */
import type { CredentialKind, CredentialPart } from "../../lib/schema/mod.ts";
import { parseCredentials, type SealedInput } from "../agent/credentials.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { whereAssigned } from "../machine/target.ts";
import { loadSession, loadSigningKey, matrixClient, principalOf } from "../session.ts";
import { expiryOf, readSecretInput } from "./input.ts";
import { CredentialStore } from "./store.ts";
import { lookBefore, tellTaken } from "./taken.ts";
import type * as results from "./results.ts";

export const rotate: CommandHandler<typeof results.rotate> = async (call) => {
  const home = await loadSession(call);
  const localpart = principalOf(home, call.args[0]!);
  const session = await whereAssigned(matrixClient(home), home, localpart);
  const name = call.args[1]!;
  const store = new CredentialStore(matrixClient(session), session, await loadSigningKey(call));
  const present = await store.read(localpart);
  const part = present.parts?.[name];
  if (part === undefined || part.removed === true) throw notAPart(localpart, name, present.keys);
  const expiresAt = expiryOf(call);
  const text = await readSecretInput(call.args[2], `New value of ${name}`);
  const recipients = await store.recipients(call);
  if (part.recipients !== undefined && !part.recipients.includes(recipients.keys[0]!)) {
    throw new CliError(
      "other-machine-key",
      `Cannot rotate "${name}": it is sealed to another key than this machine's`,
      { hint: "`bureau credential reseal` first, or give it whole: `bureau credential provision`" },
    );
  }
  const { signature: _, issued_by: _b, issued_at: _a, expires_at: _e, ...rest } = part;
  const rotated = await store.sign({
    ...rest,
    rotated: await store.seal(localpart, { [name]: newValue(part.kind, text) }, recipients),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
  }, part);
  const watched = await lookBefore(call, session, localpart);
  const written = await store.add(localpart, present, { [name]: rotated });
  call.print(`${localpart} has a new value of ${name}`);
  const taken = await tellTaken(call, session, watched, written);
  return { principal: localpart, credential: name, taken };
};

function notAPart(localpart: string, name: string, keys: readonly string[]): CliError {
  if (!keys.includes(name)) {
    return new CliError("no-such-credential", `Cannot rotate "${name}": "${localpart}" has none`, {
      status: 404,
      hint: `it has ${
        keys.join(", ") || "no credentials"
      }; \`bureau credential provision\` adds one`,
    });
  }
  return new CliError(
    "sealed-together",
    `Cannot rotate "${name}": it is sealed together with others of "${localpart}"`,
    { hint: "give it whole, with its hosts: `bureau credential provision NAME FILE`" },
  );
}

/** What stands for the secrets of the credential that is there. @throws {CliError} `usage` */
export function newValue(kind: CredentialPart["kind"], text: string): SealedInput[string] {
  const trimmed = text.trim();
  if (trimmed === "") throw new CliError("usage", "Cannot rotate: the new value is empty");
  switch (kind) {
    case "static":
      // What an editor or `echo` added; a value that ends so can be provisioned.
      return { value: text.replace(/\r?\n$/, ""), allowed_hosts: [] };
    case "ssh-key":
      return { value: `${trimmed}\n`, allowed_hosts: [] };
    case "oauth2":
      return newLogin(trimmed);
    case "claude-subscription":
    case "codex-subscription":
      return newSubscription(kind, trimmed);
  }
}

/** A refresh token, or a document with the fields that change. */
function newLogin(text: string): SealedInput[string] {
  const fields = text.startsWith("{") ? objectOf(text) : { refresh_token: text };
  const login = { token_url: "", client_id: "", ...fields };
  return parseCredentials({ login: { oauth2: login, allowed_hosts: [] } })["login"]!;
}

/** The tool's own file, or the token that it printed. */
function newSubscription(kind: CredentialKind, text: string): SealedInput[string] {
  const given = text.startsWith("{") ? objectOf(text) : { token: text };
  const { allowed_hosts: _, places: _p, ...secrets } = parseCredentials({
    new: "kind" in given || "token" in given ? { ...given, kind } : { kind, login: given },
  })["new"]!;
  return { ...secrets, allowed_hosts: [] };
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, without a word of it.
  }
  throw new CliError("usage", "Cannot rotate: the new value begins like JSON and is none");
}
