// SPDX-License-Identifier: Apache-2.0

/** The example authority: keys on disk, one HTTPS endpoint behind an API key. */
import { concatBytes } from "../../../src/lib/bytes.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { BureauError } from "../../../src/lib/errors.ts";
import {
  decode,
  encodeCertificate,
  encodeKey,
  issueCertificate,
  type KeyedCertificate,
} from "./certificates.ts";
import type { AuthorityBootstrap } from "./api.ts";
import { respond } from "./timestamp.ts";

/** A TimeStampReq over SHA-256 is under 100 bytes; extensions may add some. */
const MAX_REQUEST_BYTES = 4_096;

export class AuthorityError extends BureauError {
  override readonly name = "AuthorityError";
}

interface Identity {
  readonly caPem: string;
  readonly tlsCertificate: string;
  readonly tlsKey: string;
  readonly signer: KeyedCertificate;
}

/** Starts to serve. @throws {AuthorityError} `port-in-use` */
export async function startAuthority(
  bootstrap: AuthorityBootstrap,
): Promise<{ server: Deno.HttpServer; url: string }> {
  const identity = await loadIdentity(bootstrap.state_dir, bootstrap.host);
  const { hostname, port } = bootstrap.listen;
  const handler = createHandler(identity, bootstrap.api_key_sha256);
  try {
    const server = Deno.serve({
      hostname,
      port,
      cert: identity.tlsCertificate,
      key: identity.tlsKey,
      onListen() {},
    }, handler);
    return { server, url: `https://${bootstrap.host}:${server.addr.port}` };
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AddrInUse)) throw thrown;
    throw new AuthorityError(
      "port-in-use",
      `Cannot start the time-stamp authority: another program listens on ${hostname}:${port}`,
      {
        cause: thrown,
        hint: "stop that program, or choose another port with --authority HOST:PORT",
      },
    );
  }
}

function createHandler(identity: Identity, keyHash: string) {
  return async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (request.method === "GET" && pathname === "/ca.pem") {
      return new Response(identity.caPem, {
        headers: { "content-type": "application/x-pem-file" },
      });
    }
    // Read before any refusal: a connection that ends with the body unread loses the answer.
    const query = await readLimited(request);
    if (pathname !== "/tsa") return refuse(404, "not-found", "there is POST /tsa and GET /ca.pem");
    if (request.method !== "POST") return refuse(405, "method-not-allowed", "POST a query");
    if (!await isKey(request.headers.get("x-api-key") ?? "", keyHash)) {
      return refuse(401, "unauthorized", "this authority wants an API key in X-Api-Key");
    }
    if (request.headers.get("content-type") !== "application/timestamp-query") {
      return refuse(415, "unsupported", "content-type must be application/timestamp-query");
    }
    if (query === null) return refuse(413, "too-large", `over ${MAX_REQUEST_BYTES} bytes`);
    return new Response(await respond(query, identity.signer, systemClock.now()), {
      headers: { "content-type": "application/timestamp-reply" },
    });
  };
}

function refuse(status: number, code: string, message: string): Response {
  return Response.json(
    { error: { code, message: `Cannot stamp: ${message}` } },
    {
      status,
    },
  );
}

/** Compares digests of equal length in constant time: how far a guess matched must not show. */
async function isKey(given: string, keyHash: string): Promise<boolean> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(given));
  const a = new Uint8Array(digest).toHex();
  let difference = a.length ^ keyHash.length;
  for (let at = 0; at < a.length; at++) {
    difference |= a.charCodeAt(at) ^ (keyHash.charCodeAt(at) || 0);
  }
  return difference === 0;
}

async function readLimited(request: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MAX_REQUEST_BYTES) return null;
    chunks.push(chunk);
  }
  return concatBytes(chunks, length);
}

/** Made on the first start, whole or not at all: the last file written marks the set complete. */
async function loadIdentity(dir: string, host: string): Promise<Identity> {
  const read = (name: string) => Deno.readTextFile(`${dir}/${name}`);
  if (await Deno.stat(`${dir}/ca.pem`).catch(() => null) === null) await createIdentity(dir, host);
  return {
    caPem: await read("ca.pem"),
    tlsCertificate: await read("tls.pem"),
    tlsKey: await read("tls.key"),
    signer: await decode(await read("tsa.pem"), await read("tsa.key")),
  };
}

async function createIdentity(dir: string, host: string): Promise<void> {
  const now = systemClock.now();
  const ca = await issueCertificate("Bureau example CA", { kind: "ca" }, null, now);
  const tls = await issueCertificate(host, { kind: "tls", host }, ca, now);
  const tsa = await issueCertificate("Bureau example TSA", { kind: "timestamp" }, ca, now);
  const files: [string, string, number][] = [
    ["tls.key", await encodeKey(tls.privateKey), 0o600],
    ["tsa.key", await encodeKey(tsa.privateKey), 0o600],
    ["tls.pem", encodeCertificate(tls.certificate), 0o644],
    ["tsa.pem", encodeCertificate(tsa.certificate), 0o644],
    // The CA's own key is not kept: nothing is issued after this.
    ["ca.pem", encodeCertificate(ca.certificate), 0o644],
  ];
  for (const [name, text, mode] of files) {
    const fresh = `${dir}/${name}.new`;
    await Deno.remove(fresh).catch(() => {});
    await Deno.writeTextFile(fresh, text, { mode, createNew: true });
    await Deno.chmod(fresh, mode);
    await Deno.rename(fresh, `${dir}/${name}`);
  }
}
