// SPDX-License-Identifier: Apache-2.0

/** `credential list`: names, hosts, kinds, when, by whom, sealed to whom. There is no command that shows a value. */
import { parseUserId } from "../../lib/ref/mod.ts";
import type { CredentialPart, Credentials } from "../../lib/schema/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { whereAssigned } from "../machine/target.ts";
import { loadSession, loadSigningKey, matrixClient, principalOf } from "../session.ts";
import { CredentialStore } from "./store.ts";
import type * as results from "./results.ts";

/** Warned of so long before its end. */
const SOON_MS = 7 * 86_400_000;

export interface ListedCredential {
  readonly principal: string;
  readonly name: string;
  /** `bundle`: sealed together with others, by an earlier release. */
  readonly kind: CredentialPart["kind"] | "bundle";
  /** Null: not known without opening it. */
  readonly allowed_hosts: readonly string[] | null;
  readonly sealed_to: readonly string[];
  readonly sealed_by: string;
  readonly sealed_at: string;
  readonly rotated: boolean;
  readonly expires_at: string | null;
}

export const list: CommandHandler<typeof results.list> = async (call) => {
  const home = await loadSession(call);
  const client = matrixClient(home);
  const localpart = call.args[0] === undefined ? null : principalOf(home, call.args[0]);
  const session = localpart === null ? home : await whereAssigned(client, home, localpart);
  const store = new CredentialStore(client, session, await loadSigningKey(call));
  const events = localpart === null ? await store.all() : [await store.read(localpart)];
  const credentials = events.flatMap(listed);
  for (const line of credentialTable(credentials)) call.print(line);
  return { credentials };
};

export function listed(event: Credentials): ListedCredential[] {
  const principal = parseUserId(event.principal).localpart;
  return event.keys.map((name): ListedCredential => {
    const part = event.parts?.[name];
    if (part === undefined) {
      return {
        principal,
        name,
        kind: "bundle",
        allowed_hosts: null,
        sealed_to: event.encrypted_for,
        sealed_by: event.provisioned_by,
        sealed_at: event.provisioned_at,
        rotated: false,
        expires_at: null,
      };
    }
    return {
      principal,
      name,
      kind: part.kind,
      allowed_hosts: part.allowed_hosts,
      sealed_to: part.encrypted_for,
      sealed_by: part.issued_by,
      sealed_at: new Date(part.issued_at).toISOString(),
      rotated: part.rotated !== undefined,
      expires_at: part.expires_at === undefined ? null : new Date(part.expires_at).toISOString(),
    };
  });
}

export function credentialTable(
  credentials: readonly ListedCredential[],
  now = Date.now(),
): string[] {
  if (credentials.length === 0) return ["no credentials are sealed to this machine"];
  return table(
    ["AGENT", "CREDENTIAL", "KIND", "HOSTS", "SEALED", "BY", "TO", "ENDS"],
    credentials.map((one) =>
      [
        shortName(one.principal),
        one.name,
        one.kind,
        one.allowed_hosts === null ? "?" : one.allowed_hosts.join(" ") || "none",
        `${ago(Date.parse(one.sealed_at), now)} ago${one.rotated ? ", rotated" : ""}`,
        one.sealed_by,
        one.sealed_to.map((to) => to.startsWith("@") ? to.slice(1).split(":")[0]! : to).join(" "),
        endOf(one.expires_at, now),
      ].map(neutraliseLine)
    ),
    ["BY", "TO", "KIND"],
  );
}

function endOf(expiresAt: string | null, now: number): string {
  if (expiresAt === null) return "never";
  const left = Date.parse(expiresAt) - now;
  if (left <= 0) return `EXPIRED ${expiresAt}`;
  return left < SOON_MS ? `SOON, in ${ago(now - left, now)}` : expiresAt;
}
