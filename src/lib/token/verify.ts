// SPDX-License-Identifier: Apache-2.0

/**
 * Checks service tokens: what a service uses. Needs no network and no secret; whoever can't be told to be
 * right is refused (architecture rule 8).
 */
import { decodeJwt, errors, importJWK, type JWTPayload, jwtVerify } from "jose";
import * as z from "zod/mini";
import { check, type Decision, noPolicy } from "../authorization/mod.ts";
import { messageOf } from "../errors.ts";
import { parseUserId } from "../ref/mod.ts";
import { Denial, Grant } from "../schema/policy.ts";
import { TokenError } from "./errors.ts";
import { isRole, serviceAction } from "./rules.ts";
import { TOKEN_ALGORITHM, TOKEN_LIFE_MS, TOKEN_TYPE } from "./sign.ts";
import { type ServiceTrust, trustFile } from "./trust.ts";

/** Of two machines' clocks. */
export const SKEW_MS = 10_000;
const MAX_TOKEN = 64 * 1024;
const MAX_KEYS = 256;
type ImportedKey = ReturnType<typeof importJWK>;

const Claims = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.string(),
  role: z.string(),
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
  grants: z.array(Grant),
  denials: z.array(Denial),
});
type Claims = z.infer<typeof Claims>;

export interface VerifierOptions {
  /** Asked for each token; default: the file that the daemon writes. */
  readonly trust?: () => Promise<ServiceTrust>;
  /** Roles that this service fills; absent: any that a token for it names. */
  readonly roles?: readonly string[];
  readonly now?: () => number;
}

/** Who calls, by the word of the caller's machine. */
export class Caller {
  /** User id. */
  readonly subject: string;
  /** User id of the machine that vouches for it. */
  readonly machine: string;
  readonly role: string;
  /** User id that it called: this service's. */
  readonly service: string;
  readonly tokenId: string;
  /** Ms since the epoch. */
  readonly expiresAt: number;
  readonly #claims: Claims;
  readonly #now: () => number;

  constructor(claims: Claims, now: () => number) {
    this.subject = claims.sub;
    this.machine = claims.iss;
    this.role = claims.role;
    this.service = claims.aud;
    this.tokenId = claims.jti;
    this.expiresAt = claims.exp * 1000;
    this.#claims = claims;
    this.#now = now;
  }

  /**
   * Whether it may do `service/<role>/<action>`, and by which rule. With a target (a user id) a grant must
   * cover it; what the target allows is for the service to know.
   */
  decide(action: string, target?: string): Decision {
    const { grants, denials } = this.#claims;
    const full = serviceAction(this.role, action);
    const question = { actor: this.subject, action: full };
    const actor = { ...noPolicy, grants, denials };
    if (target === undefined) return check(question, { actor }, this.#now());
    const open = { ...noPolicy, allowances: [{ actions: ["**"], actors: ["**:**"] }] };
    return check({ ...question, target }, { actor, target: open }, this.#now());
  }

  /** @throws {TokenError} `not-granted` */
  require(action: string, target?: string): void {
    const { allowed, reason } = this.decide(action, target);
    if (allowed) return;
    const full = serviceAction(this.role, action);
    throw new TokenError("not-granted", `Cannot ${full} as "${this.subject}": ${reason}`, {
      status: 403,
      hint: `an operator grants the action "${full}"`,
    });
  }
}

export class TokenVerifier {
  readonly #trust: () => Promise<ServiceTrust>;
  readonly #roles: readonly string[] | null;
  readonly #now: () => number;
  /** By public key; whether one counts is looked up for each token. */
  readonly #keys = new Map<string, ImportedKey>();

  constructor({ trust = trustFile(), roles, now = Date.now }: VerifierOptions = {}) {
    this.#trust = trust;
    this.#roles = roles ?? null;
    this.#now = now;
  }

  /** The caller of a request with `Authorization: Bearer <token>`. @throws {TokenError} */
  async caller(request: Request): Promise<Caller> {
    const match = /^Bearer +([^ ]+) *$/i.exec(request.headers.get("authorization") ?? "");
    if (match === null) {
      throw new TokenError("no-token", "Cannot tell who calls: the request has no service token", {
        hint: "send what is in /run/bureau/service/token/<role>.token as `Authorization: Bearer`",
      });
    }
    return await this.verify(match[1]!);
  }

  /** @throws {TokenError} that never quotes the token */
  async verify(token: string): Promise<Caller> {
    const trust = await this.#trust();
    if (token.length > MAX_TOKEN) throw refused("malformed", "it is too long");
    let claims: Claims;
    try {
      // Not believed yet: says among whose keys to look. One machine may publish another's key as its own.
      const { iss } = decodeJwt(token);
      const { payload } = await jwtVerify(
        token,
        async ({ kid }) => await this.#keyOf(trust, iss, kid),
        {
          algorithms: [TOKEN_ALGORITHM],
          typ: TOKEN_TYPE,
          issuer: iss ?? "",
          audience: trust.service,
          requiredClaims: ["iss", "sub", "aud", "jti", "iat", "exp"],
          clockTolerance: SKEW_MS / 1000,
          currentDate: new Date(this.#now()),
        },
      );
      claims = claimsOf(payload);
    } catch (thrown) {
      throw explained(thrown);
    }
    this.#look(claims, trust);
    return new Caller(claims, this.#now);
  }

  async #keyOf(trust: ServiceTrust, machine: string | undefined, kid: string | undefined) {
    const key = trust.keys.find((one) => one.id === kid && one.machine === machine);
    if (key === undefined || (key.until !== undefined && key.until + SKEW_MS < this.#now())) {
      throw refused("unknown-key", "its machine has published no such key, or no longer");
    }
    return await this.#imported(key.public_key);
  }

  /** Read once: a fleet's keys are few, and each request needs one. */
  #imported(publicKey: string): ImportedKey {
    let key = this.#keys.get(publicKey);
    if (key === undefined) {
      if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
      const x = Uint8Array.fromHex(publicKey)
        .toBase64({ alphabet: "base64url", omitPadding: true });
      key = importJWK({ kty: "OKP", crv: "Ed25519", x }, TOKEN_ALGORITHM);
      this.#keys.set(publicKey, key);
    }
    return key;
  }

  /** What a signature doesn't say. */
  #look({ iss, sub, role, iat, exp }: Claims, trust: ServiceTrust): void {
    // A machine speaks for the accounts of its own server, never for another's.
    if (!sameServer(sub, iss)) throw refused("forged", "its subject is of another server");
    if (!isRole(role) || (this.#roles !== null && !this.#roles.includes(role))) {
      throw refused("audience", "it is for a role that this service doesn't fill");
    }
    if (exp - iat > TOKEN_LIFE_MS / 1000 + 1 || iat * 1000 > this.#now() + SKEW_MS) {
      throw refused("malformed", "its times can't be right");
    }
    const revoked = trust.revoked[iss]?.some(({ subject, until }) =>
      subject === sub && Math.round(iat * 1000) <= until
    );
    if (revoked) throw refused("revoked", "it was revoked", "read the token's file again");
  }
}

function claimsOf(payload: JWTPayload): Claims {
  const parsed = z.safeParse(Claims, payload);
  if (!parsed.success) {
    throw refused("malformed", "its claims have not the form of a service token");
  }
  return parsed.data;
}

function sameServer(subject: string, machine: string): boolean {
  try {
    return parseUserId(subject).server === parseUserId(machine).server;
  } catch {
    return false;
  }
}

function refused(code: string, why: string, hint?: string): TokenError {
  return new TokenError(`token-${code}`, `Cannot accept the service token: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

function explained(thrown: unknown): TokenError {
  if (thrown instanceof TokenError) return thrown;
  if (thrown instanceof errors.JWTExpired) {
    return refused("expired", "it has expired", "read the token's file again: it is refreshed");
  }
  if (thrown instanceof errors.JWTClaimValidationFailed && thrown.claim === "aud") {
    return refused(
      "audience",
      "it is for another service",
      "read the token's file again: the role may be bound to another service now",
    );
  }
  const forged = [errors.JWSSignatureVerificationFailed, errors.JOSEAlgNotAllowed]
    .some((kind) => thrown instanceof kind);
  return forged
    ? refused("forged", `its signature doesn't count (${messageOf(thrown)})`)
    : refused("malformed", "it is no service token");
}
