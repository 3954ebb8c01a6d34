// SPDX-License-Identifier: Apache-2.0

/** What a sandbox holds in the place of credentials, and what its proxy makes of it. */
import { parseAuthority } from "../lib/authority.ts";
import type { CredentialBundle } from "../lib/schema/events.ts";
import type { Sensitive } from "../lib/secret/mod.ts";
import type { ResolvedSpec } from "../lib/template/mod.ts";
import type { BoundPlaceholder } from "../proxy/api.ts";
import { SECRETS_DIR } from "../sandbox/mod.ts";
import { placeholderFor } from "./egress_authority.ts";
import { LauncherError } from "./errors.ts";
import { valueOf } from "./oauth2.ts";

export interface Placeholders {
  /** For the sandbox. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same in files of the sandbox's contract. */
  readonly files: readonly (readonly [name: string, text: string])[];
  /** For the proxy. Secret. */
  readonly bound: readonly BoundPlaceholder[];
}

/**
 * @param spec as the signed template and assignment have it
 * @param identity the machine's age key; secret
 * @throws {LauncherError} when a credential is not sealed, names no host, or two name one host with different CAs
 */
export async function bindPlaceholders(
  { placeholders, secret_files }: Pick<ResolvedSpec, "placeholders" | "secret_files">,
  bundle: CredentialBundle | null,
  identity: Sensitive,
  principal: string,
): Promise<Placeholders> {
  const refuse = (code: string, why: string, hint: string) =>
    new LauncherError(code, `Cannot start "${principal}": ${why}`, { status: 403, hint });
  const environment: Record<string, string> = {};
  const files: [string, string][] = [];
  const wanted = [
    ...Object.entries(placeholders).map(([variable, name]) => ({ variable, name, file: null })),
    ...Object.entries(secret_files).map(([file, name]) => ({ variable: file, name, file })),
  ];
  const bound = new Map<string, BoundPlaceholder>();
  const authorities = new Map<string, string | undefined>();
  for (const { variable, name, file } of wanted) {
    const credential = bundle !== null && Object.hasOwn(bundle.credentials, name)
      ? bundle.credentials[name]!
      : undefined;
    if (credential === undefined) {
      throw refuse(
        "missing-credential",
        `credential "${name}" of placeholder "${variable}" is not sealed for it`,
        "seal it with `bureau agent create NAME --credentials FILE`",
      );
    }
    const placeholder = await placeholderFor(identity, principal, name);
    if (file === null) environment[variable] = placeholder;
    else files.push([`${SECRETS_DIR}/${file}`, placeholder]);
    const { allowed_hosts: hosts, ca, places, expires_at } = credential;
    const value = valueOf(name, credential);
    const unread = hosts.find((host) => parseAuthority(host) === null);
    if (hosts.length === 0 || unread !== undefined) {
      throw refuse(
        "host-not-allowed",
        `credential "${name}" of placeholder "${variable}" ${
          unread === undefined
            ? "may go nowhere"
            : `is sealed for "${unread}", which is no host:port`
        }`,
        "seal it again with the hosts that it may go to, as host:port",
      );
    }
    for (const host of hosts) {
      if (authorities.has(host) && authorities.get(host) !== ca) {
        throw refuse(
          "two-authorities",
          `credentials for "${host}" name different CAs`,
          "seal them again with the same one",
        );
      }
      authorities.set(host, ca);
    }
    bound.set(name, {
      placeholder,
      value,
      hosts,
      ...(places === undefined ? {} : { places }),
      ...(ca === undefined ? {} : { ca }),
      ...(expires_at === undefined ? {} : { expires_at }),
    });
  }
  return { environment, files, bound: [...bound.values()] };
}
