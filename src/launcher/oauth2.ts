// SPDX-License-Identifier: Apache-2.0

/** Credentials whose value the proxy fetches: what stands for them in its document, and the logins. */
import { createHash } from "node:crypto";
import type { CredentialBundle } from "../lib/schema/events.ts";
import type { BoundOauth2, ProxyBootstrap } from "../proxy/api.ts";
import { LauncherError } from "./errors.ts";

export type Credential = CredentialBundle["credentials"][string];

/** What stands in a bootstrap document for the present value; a sealed value is never taken for one. */
export function valueOf(name: string, { value, oauth2 }: Credential): string {
  return oauth2 === undefined ? value : `bureau-live-credential:${name}:`;
}

/**
 * The logins that a document refers to.
 *
 * @throws {LauncherError} when tokens would be fetched from a host that the credential may not go to
 */
export function bindLogins(
  bundle: CredentialBundle | null,
  document: Pick<ProxyBootstrap, "services" | "placeholders">,
  who: string,
): BoundOauth2[] {
  const text = JSON.stringify([document.services, document.placeholders ?? []]);
  const bound: BoundOauth2[] = [];
  for (const [name, credential] of Object.entries(bundle?.credentials ?? {})) {
    const { oauth2, allowed_hosts, ca } = credential;
    const marker = valueOf(name, credential);
    if (oauth2 === undefined || !text.includes(JSON.stringify(marker).slice(1, -1))) continue;
    const refuse = (code: string, why: string, hint: string) =>
      new LauncherError(code, `Cannot start "${who}": the token address of "${name}" ${why}`, {
        status: 403,
        hint,
      });
    const url = URL.parse(oauth2.token_url);
    if (url === null || !["http:", "https:"].includes(url.protocol)) {
      throw refuse("bad-token-url", "is no http(s) URL", "seal it again with its token_url");
    }
    const host = `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
    if (!allowed_hosts.includes(host)) {
      throw refuse(
        "host-not-allowed",
        `is at "${host}", where the credential may not go`,
        "seal it again with this host among its allowed hosts",
      );
    }
    const began = createHash("sha256").update(oauth2.refresh_token).digest("hex");
    bound.push({ ...oauth2, name, began, marker, ...(ca === undefined ? {} : { ca }) });
  }
  return bound;
}
