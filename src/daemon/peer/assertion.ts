// SPDX-License-Identifier: Apache-2.0

/**
 * What one machine's daemon says to another's with each request: a JWT of the machine that asks, for the one that
 * answers, around the operator's own warrant. The machine's signature says by whose hands it came, the operator's
 * that it was wanted: neither alone is enough, and together they say nothing of what the operator may do, which the
 * answering machine decides by itself.
 */
import { decodeJwt, errors, importJWK, jwtVerify, SignJWT } from "jose";
import * as z from "zod/mini";
import { parseUserId } from "../../lib/ref/mod.ts";
import { verifyContent } from "../../lib/signature/mod.ts";
import {
  TOKEN_ALGORITHM,
  type TokenKey,
  tokenKeyId,
  type TrustedKey,
} from "../../lib/token/mod.ts";
import { DaemonError } from "../errors.ts";
import { Warrant, WARRANT_MS } from "./api.ts";

/** No other JWT passes for one. */
const TYPE = "bureau-peer+jwt";
const LIFE_MS = 30_000;
/** Of two machines' clocks, and of the operator's. */
export const SKEW_MS = 10_000;
const MAX_ASSERTION = 8 * 1024;
/** Warrants that were shown and may be shown again; more than a fleet's operators sign in a minute. */
const MAX_SEEN = 20_000;

const Claims = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.string(),
  iat: z.number(),
  exp: z.number(),
  jti: z.string(),
});

/** @returns null for what is no warrant */
export function decodeWarrant(text: string): Record<string, unknown> | null {
  if (text.length > MAX_ASSERTION) return null;
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return z.safeParse(Warrant, json).success ? json as Record<string, unknown> : null;
  } catch {
    return null;
  }
}

/** @param warrant as it was signed, with whatever fields it has */
export async function signAssertion(
  key: TokenKey,
  { machine, warrant, now }: { machine: string; warrant: Record<string, unknown>; now: number },
): Promise<string> {
  return await new SignJWT({ warrant })
    .setProtectedHeader({ alg: TOKEN_ALGORITHM, typ: TYPE, kid: tokenKeyId(key.publicKey) })
    .setIssuer(machine)
    .setSubject(String(warrant["subject"]))
    .setAudience(String(warrant["machine"]))
    .setJti(crypto.getRandomValues(new Uint8Array(16)).toHex())
    .setIssuedAt(now / 1000)
    .setExpirationTime((now + LIFE_MS) / 1000)
    .sign(await importJWK({ ...key.privateJwk, kty: "OKP" }, TOKEN_ALGORITHM));
}

export interface AssertionReaderOptions {
  /** User id. */
  readonly machine: string;
  /** Of operators, as the launcher's policy has them: pinned, whatever the homeserver says. */
  readonly operatorKeys: readonly string[];
  /** What the fleet's machines have published, each of itself; those that were put out have nothing. */
  readonly keys: () => readonly TrustedKey[];
  readonly now: () => number;
}

export class AssertionReader {
  readonly #options: AssertionReaderOptions;
  /** Since when it is remembered which warrants were shown. */
  readonly #since: number;
  /** Nonce → when it counts no more. */
  readonly #seen = new Map<string, number>();

  constructor(options: AssertionReaderOptions) {
    this.#options = options;
    this.#since = options.now();
  }

  /**
   * @param path of the request that it came with
   * @returns the warrant, and the machine that carried it
   * @throws {DaemonError} 403, or 503 where time may mend it
   */
  async read(assertion: string, path: string): Promise<{ warrant: Warrant; from: string }> {
    const { from, subject, json } = await this.#verify(assertion);
    const parsed = z.safeParse(Warrant, json);
    if (!parsed.success) throw refused("malformed", "it holds no warrant");
    const warrant = parsed.data;
    try {
      await verifyContent(json as object, this.#options.operatorKeys);
    } catch {
      throw refused("forged", "no operator of this machine has signed its warrant");
    }
    const { machine } = this.#options;
    if (warrant.via !== from || warrant.machine !== machine || warrant.subject !== subject) {
      throw refused("wrong-warrant", "its warrant is for other machines, or somebody else");
    }
    if (warrant.path !== path) throw refused("wrong-warrant", "its warrant is for another request");
    if (parseUserId(subject).server !== parseUserId(machine).server) {
      throw refused("wrong-warrant", "its subject is of another server");
    }
    this.#once(warrant);
    return { warrant, from };
  }

  async #verify(assertion: string): Promise<{ from: string; subject: string; json: unknown }> {
    if (assertion.length > MAX_ASSERTION) throw refused("malformed", "it is too long");
    const { machine, keys, now } = this.#options;
    try {
      // Not believed yet: says among whose keys to look.
      const { iss } = decodeJwt(assertion);
      const { payload } = await jwtVerify(
        assertion,
        async ({ kid }) => {
          const key = keys().find((one) => one.id === kid && one.machine === iss);
          if (key === undefined || (key.until !== undefined && key.until + SKEW_MS < now())) {
            throw passing("unknown-key", "its machine has published no such key, or no longer");
          }
          const x = Uint8Array.fromHex(key.public_key)
            .toBase64({ alphabet: "base64url", omitPadding: true });
          return await importJWK({ kty: "OKP", crv: "Ed25519", x }, TOKEN_ALGORITHM);
        },
        {
          algorithms: [TOKEN_ALGORITHM],
          typ: TYPE,
          issuer: iss ?? "",
          audience: machine,
          clockTolerance: SKEW_MS / 1000,
          currentDate: new Date(now()),
        },
      );
      const claims = z.parse(Claims, payload);
      if (claims.exp - claims.iat > LIFE_MS / 1000 + 1) {
        throw refused("malformed", "its times can't be right");
      }
      return { from: claims.iss, subject: claims.sub, json: payload["warrant"] };
    } catch (thrown) {
      if (thrown instanceof DaemonError) throw thrown;
      if (thrown instanceof errors.JWTExpired) throw passing("expired", "it has expired");
      throw refused("forged", "it is not what a machine of the fleet signed for this one");
    }
  }

  /** Within its time, and not again. */
  #once({ nonce, issued_at: from, expires_at: until }: Warrant): void {
    const now = this.#options.now();
    if (until - from > WARRANT_MS || from > now + SKEW_MS) {
      throw refused("malformed", "its warrant's times can't be right");
    }
    if (until + SKEW_MS < now) throw passing("expired", "its warrant has expired");
    // What an earlier life was shown it can't be asked.
    if (from < this.#since) throw passing("expired", "its warrant is older than this daemon");
    for (const [seen, end] of this.#seen) {
      if (end >= now) break;
      this.#seen.delete(seen);
    }
    if (this.#seen.has(nonce)) throw refused("used", "its warrant was used before");
    if (this.#seen.size >= MAX_SEEN) throw passing("busy", "there are too many just now");
    this.#seen.set(nonce, now + WARRANT_MS + 2 * SKEW_MS);
  }
}

function refused(code: string, why: string): DaemonError {
  return new DaemonError(`peer-${code}`, `Cannot accept the peer's assertion: ${why}`, {
    status: 403,
  });
}

/** Another one, a moment later, may be accepted. */
function passing(code: string, why: string): DaemonError {
  return new DaemonError(`peer-${code}`, `Cannot accept the peer's assertion: ${why}`, {
    status: 503,
    hint: "it is tried again; do the clocks of the two machines differ?",
  });
}
