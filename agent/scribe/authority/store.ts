// SPDX-License-Identifier: Apache-2.0

/** The authority's files: made on the first start, renewed before they run out. */
import { certificatePem, type Identity, issue, keyPem, readIdentity } from "./certificates.ts";

const CA_DAYS = 3650;
const LEAF_DAYS = 730;
/** A certificate with less left is made anew at start. */
const RENEW_MS = 60 * 86_400_000;

export interface AuthorityIdentities {
  readonly ca: Identity;
  readonly server: Identity;
  readonly stamper: Identity;
}

/**
 * @param host name in the TLS certificate, besides the loopback addresses
 * @throws when the directory cannot be written
 */
export async function openStore(dir: string, host: string): Promise<AuthorityIdentities> {
  const ca = await loadOrIssue(
    dir,
    "ca",
    () => issue({ commonName: "Bureau example CA", purpose: { kind: "ca" }, days: CA_DAYS }),
  );
  const server = await loadOrIssue(dir, "server", () =>
    issue({
      commonName: host,
      purpose: {
        kind: "server",
        names: [...new Set([host, "localhost"])],
        addresses: [
          Uint8Array.of(127, 0, 0, 1),
          Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
        ],
      },
      days: LEAF_DAYS,
      issuer: ca,
    }));
  const stamper = await loadOrIssue(dir, "tsa", () =>
    issue({
      commonName: "Bureau example time-stamp authority",
      purpose: { kind: "time-stamping" },
      days: LEAF_DAYS,
      issuer: ca,
    }));
  return { ca, server, stamper };
}

async function loadOrIssue(
  dir: string,
  name: string,
  make: () => Promise<Identity>,
): Promise<Identity> {
  const paths = { certificate: `${dir}/${name}.pem`, key: `${dir}/${name}-key.pem` };
  const known = await load(paths);
  if (known !== null && known.certificate.notAfter.value.getTime() - Date.now() > RENEW_MS) {
    return known;
  }
  const made = await make();
  // The key first: a certificate on disk always has its key.
  await writeWhole(paths.key, await keyPem(made), 0o600);
  await writeWhole(paths.certificate, certificatePem(made), 0o644);
  return made;
}

async function load(paths: { certificate: string; key: string }): Promise<Identity | null> {
  try {
    return await readIdentity(
      await Deno.readTextFile(paths.certificate),
      await Deno.readTextFile(paths.key),
    );
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

/** Whole or not at all; the mode holds from the first byte, whatever the umask is. */
async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  await Deno.remove(fresh).catch(() => {});
  await Deno.writeTextFile(fresh, text, { mode: 0o600, createNew: true });
  await Deno.chmod(fresh, mode);
  await Deno.rename(fresh, path);
}
