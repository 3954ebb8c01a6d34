// SPDX-License-Identifier: Apache-2.0

/** From what is sealed for a principal to the credentials that its proxy gets. */
import { messageOf } from "../lib/errors.ts";
import type { CredentialBundle, CredentialPart } from "../lib/schema/events.ts";
import { parseSealedText, unsealBundle } from "../lib/sealed/mod.ts";
import type { Sensitive } from "../lib/secret/mod.ts";
import { verifyContent } from "../lib/signature/mod.ts";
import type { ResolvedSpec } from "../lib/template/mod.ts";
import { LauncherError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Validated } from "./validate.ts";

type Credential = CredentialBundle["credentials"][string];

export interface OpenedCredentials {
  /** Secret. */
  readonly bundle: CredentialBundle;
  /** Credential → when its part was signed: nothing older may come after. */
  readonly issued: Readonly<Record<string, number>>;
}

export interface OpenOptions {
  /** The machine's age key; secret. */
  readonly identity: Sensitive;
  /** User id. */
  readonly principal: string;
  /** Whose signatures on parts count. */
  readonly operatorKeys: readonly string[];
}

/**
 * @param text `sealedText()` of the event
 * @throws {LauncherError} where something is another's, or a part is signed by nobody who may
 * @throws {SealedError}
 */
export async function openCredentials(
  text: string,
  { identity, principal, operatorKeys }: OpenOptions,
): Promise<OpenedCredentials> {
  const set = parseSealedText(text);
  const open = async (ciphertext: string): Promise<CredentialBundle> => {
    const bundle = await unsealBundle(ciphertext, identity);
    if (bundle.principal === principal) return bundle;
    throw refuse("foreign-bundle", principal, "the sealed credentials are another's");
  };
  const base = await open(set.ciphertext);
  const credentials = new Map(Object.entries(base.credentials));
  const issued: Record<string, number> = {};
  for (const [name, part] of Object.entries(set.parts)) {
    await verifyPart(name, part, principal, operatorKeys);
    if (part.removed === true) {
      credentials.set(name, removedCredential(part));
      issued[name] = part.issued_at;
      continue;
    }
    const only = async (ciphertext: string): Promise<Credential> => {
      const found = Object.entries((await open(ciphertext)).credentials);
      if (found.length === 1 && found[0]![0] === name) return found[0]![1];
      throw refuse("foreign-bundle", principal, `the credential "${name}" is sealed as another`);
    };
    const whole = await only(part.ciphertext);
    const { expires_at: _, ...credential } = part.rotated === undefined
      ? whole
      : withSecretsOf(whole, await only(part.rotated));
    credentials.set(
      name,
      part.expires_at === undefined ? credential : { ...credential, expires_at: part.expires_at },
    );
    issued[name] = part.issued_at;
  }
  return { bundle: { ...base, credentials: Object.fromEntries(credentials) }, issued };
}

/**
 * In the place of one that was taken away: its time is over. So the proxy that runs refuses it from now on, while the
 * agent goes on, and nothing is started that needs it.
 */
function removedCredential({ allowed_hosts, issued_at }: CredentialPart): Credential {
  // Never sent, and nobody's secret; nor is it a text that an answer might hold.
  const value = `removed-${crypto.getRandomValues(new Uint8Array(32)).toHex()}`;
  return { value, allowed_hosts: [...allowed_hosts], expires_at: issued_at };
}

async function verifyPart(
  name: string,
  part: CredentialPart,
  principal: string,
  operatorKeys: readonly string[],
): Promise<void> {
  try {
    await verifyContent(part, operatorKeys);
  } catch (thrown) {
    throw new LauncherError(
      "bad-signature",
      `Cannot start "${principal}": no operator of this machine signed its credential "${name}": ${
        messageOf(thrown)
      }`,
      { status: 403, hint: "seal it with `bureau credential provision`, which signs it" },
    );
  }
  if (part.principal !== principal || part.name !== name) {
    throw refuse("foreign-bundle", principal, `the credential "${name}" is signed as another`);
  }
}

/** Where it may go, and how it is used, stays. */
function withSecretsOf(whole: Credential, rotated: Credential): Credential {
  const { value, oauth2: login, headers, append_headers } = rotated;
  const extra = {
    ...(headers === undefined ? {} : { headers }),
    ...(append_headers === undefined ? {} : { append_headers }),
  };
  if (whole.oauth2 === undefined || login === undefined) {
    const { oauth2: _, ...rest } = whole;
    return { ...rest, ...extra, value };
  }
  // The access token belongs to the old login.
  const { access_token: _, expires_at: _e, ...settings } = whole.oauth2;
  const { token_url: _t, client_id: _c, ...secrets } = login;
  return { ...whole, ...extra, oauth2: { ...settings, ...secrets } };
}

/** A daemon that is taken over can't bring back a credential that was rotated. @throws {LauncherError} `replayed` */
export async function refuseReplayed(
  journal: Pick<Journal, "newestCredentials">,
  hash: string,
  { userId, issuedCredentials }: Pick<Validated, "userId" | "issuedCredentials">,
): Promise<void> {
  const newest = await journal.newestCredentials(hash);
  for (const [name, issuedAt] of Object.entries(issuedCredentials)) {
    if (issuedAt >= (newest[name] ?? 0)) continue;
    throw refuse("replayed", userId, `a newer credential "${name}" was seen before this one`);
  }
}

/**
 * Before a start. The proxy of one that runs refuses it itself from then on.
 *
 * @throws {LauncherError} `credential-expired` where the principal needs one whose time is over
 */
export function refuseExpired(
  { spec, bundle, userId: who }: Pick<Validated, "spec" | "bundle" | "userId">,
  now: number,
): void {
  for (const name of usedCredentials(spec)) {
    const end = bundle?.credentials[name]?.expires_at;
    if (end === undefined || end > now) continue;
    throw new LauncherError(
      "credential-expired",
      `Cannot start "${who}": its credential "${name}" expired at ${new Date(end).toISOString()}`,
      {
        status: 403,
        hint:
          `give a new one: \`bureau credential rotate NAME ${name}\`, or where it was removed ` +
          "`bureau credential provision NAME FILE`",
      },
    );
  }
}

/** Names of the credentials that a template uses. */
export function usedCredentials(spec: ResolvedSpec): Set<string> {
  const services = Object.values(spec.proxy_services).flatMap((service) => [
    ...Object.values(service.inject_headers ?? {}),
    ...Object.values(service.inject_query ?? {}),
    ...Object.values(service.inject_body ?? {}),
    ...(service.basic_auth === undefined ? [] : [service.basic_auth.password]),
  ]);
  return new Set([
    ...spec.required_credentials,
    ...services,
    ...Object.values(spec.placeholders),
    ...Object.values(spec.secret_files),
    ...Object.values(spec.ssh_keys).map(({ credential }) => credential),
  ]);
}

function refuse(code: string, principal: string, why: string): LauncherError {
  return new LauncherError(code, `Cannot start "${principal}": ${why}`, { status: 403 });
}
