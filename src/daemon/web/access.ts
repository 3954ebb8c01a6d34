// SPDX-License-Identifier: Apache-2.0

/**
 * Who may open the page: one-time links, operator tokens and shared links, and the browsers that came by them.
 * Only SHA-256 digests of secrets are kept (`<state>/daemon/web.json`). A session has the rights of the user who
 * gave out what it came by, as they are at each request, and never outlives it.
 */
import { sha256Hex } from "../../lib/canonical/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import { Bucket } from "../audit.ts";
import type { WebGrantView } from "./api.ts";
import type { AccessStore, Grant, Session } from "./store.ts";

/** A one-time link, until it is used. */
const LINK_MS = 10 * 60_000;
/** A login ends when nobody has used it for so long, and after this long anyhow. */
const SESSION_IDLE_MS = 12 * 3_600_000;
const SESSION_MS = 7 * 86_400_000;
export const MAX_TOKEN_MS = 366 * 86_400_000;
export const MAX_SHARE_MS = 30 * 86_400_000;
/** Of each kind: what nobody can oversee is no list. */
const MAX_GRANTS = 200;
const MAX_SESSIONS = 500;
/** Logins that failed: so many at once, then one in three seconds, whoever tries. */
const FAILURES = 20;
const FAILURES_PER_SECOND = 1 / 3;
/** How exactly it is written down when somebody was last there. */
const SEEN_MS = 5 * 60_000;

export class WebAccessError extends BureauError {
  override readonly name = "WebAccessError";
}

export interface NewGrant {
  readonly kind: Grant["kind"];
  readonly name: string;
  readonly user: string;
  readonly principal?: string;
  readonly forMs?: number;
}

const PREFIX = { link: "bwl_", token: "bwt_", share: "bws_" } as const;

export class WebAccess {
  readonly #store: AccessStore;
  readonly #clock: Clock;
  readonly #failures: Bucket;

  constructor(store: AccessStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#failures = new Bucket(clock, FAILURES, FAILURES_PER_SECOND);
  }

  /** @returns the secret, which is nowhere else. @throws {WebAccessError} `too-many`, `bad-time` */
  async issue(wanted: NewGrant): Promise<{ id: string; token: string; expires_at: number }> {
    const { kind, name, user, principal, forMs = LINK_MS } = wanted;
    const most = kind === "token" ? MAX_TOKEN_MS : kind === "share" ? MAX_SHARE_MS : LINK_MS;
    if (!(forMs >= 1_000 && forMs <= most)) {
      throw new WebAccessError("bad-time", "Cannot give that out for that long", {
        status: 400,
        hint: `at most ${most / 86_400_000} days`,
      });
    }
    this.#prune();
    const { grants } = this.#store.content;
    if (grants.filter((one) => one.kind === kind).length >= MAX_GRANTS) {
      throw new WebAccessError("too-many", `Cannot give out another ${kind}: there are too many`, {
        status: 409,
        hint: "revoke some",
      });
    }
    const now = this.#clock.now();
    const token = `${PREFIX[kind]}${secret()}`;
    const grant: Grant = {
      id: crypto.getRandomValues(new Uint8Array(4)).toHex(),
      ...{ kind, name, user, principal: principal ?? null },
      sha256: await sha256Hex(token),
      created_at: now,
      expires_at: now + forMs,
      used_at: null,
      spent: false,
    };
    grants.push(grant);
    await this.#store.save();
    return { id: grant.id, token, expires_at: grant.expires_at };
  }

  /**
   * @returns the cookie's value, and the session
   * @throws {WebAccessError} `slow-down`; `bad-login` for what is unknown, used or over, all alike
   */
  async login(token: string): Promise<{ cookie: string; session: Session }> {
    const digest = await sha256Hex(token);
    this.#prune();
    const now = this.#clock.now();
    const grant = this.#store.content.grants.find(({ sha256 }) => sha256 === digest);
    if (grant === undefined || grant.spent) {
      if (this.#failures.take() === null) {
        throw new WebAccessError("slow-down", "Cannot log in: too many logins have failed", {
          status: 429,
          hint: "wait a minute",
        });
      }
      throw new WebAccessError(
        "bad-login",
        "Cannot log in: the link or token is unknown, used or over",
        {
          status: 403,
          hint: "`bureau web` prints a new link",
        },
      );
    }
    if (grant.kind === "link") grant.spent = true;
    grant.used_at = now;
    const until = grant.kind === "share"
      ? grant.expires_at
      : grant.kind === "token"
      ? Math.min(grant.expires_at, now + SESSION_MS)
      : now + SESSION_MS;
    // A link is spent; what it leaves is the login, which stands as long.
    if (grant.kind === "link") grant.expires_at = until;
    const cookie = secret();
    const session: Session = {
      sha256: await sha256Hex(cookie),
      grant: grant.id,
      kind: grant.kind,
      ...{ user: grant.user, principal: grant.principal, created_at: now, seen_at: now },
      expires_at: until,
    };
    const { sessions } = this.#store.content;
    if (sessions.length >= MAX_SESSIONS) sessions.shift();
    sessions.push(session);
    await this.#store.save();
    return { cookie, session };
  }

  /** @returns the session behind a cookie, or null */
  async session(cookie: string): Promise<Session | null> {
    const digest = await sha256Hex(cookie);
    const session = this.#store.content.sessions.find(({ sha256 }) => sha256 === digest);
    if (session === undefined || !this.holds(session)) return null;
    const now = this.#clock.now();
    if (now - session.seen_at > SEEN_MS) {
      session.seen_at = now;
      await this.#store.save();
    }
    return session;
  }

  /** Whether it is there still: asked again and again while something is open. */
  holds(session: Session): boolean {
    const now = this.#clock.now();
    return this.#store.content.sessions.includes(session) && now < session.expires_at &&
      (session.kind === "share" || now - session.seen_at < SESSION_IDLE_MS);
  }

  async logout(session: Session): Promise<void> {
    this.#keepSessions((one) => one !== session);
    await this.#store.save();
  }

  /** @returns how many sessions ended with it; null: there is none of this id and kind */
  async revoke(id: string, kinds: readonly Grant["kind"][]): Promise<number | null> {
    const { content } = this.#store;
    const grant = content.grants.find((one) => one.id === id && kinds.includes(one.kind));
    if (grant === undefined) return null;
    content.grants.splice(content.grants.indexOf(grant), 1);
    const before = content.sessions.length;
    this.#keepSessions((one) => one.grant !== id);
    await this.#store.save();
    return before - content.sessions.length;
  }

  list(kinds: readonly Grant["kind"][]): WebGrantView[] {
    this.#prune();
    const { grants, sessions } = this.#store.content;
    return grants.filter(({ kind }) => kinds.includes(kind)).map((grant) => ({
      id: grant.id,
      kind: grant.kind,
      name: grant.name,
      user: grant.user,
      principal: grant.principal,
      created_at: grant.created_at,
      expires_at: grant.expires_at,
      used_at: grant.used_at,
      sessions: sessions.filter((one) => one.grant === grant.id).length,
    }));
  }

  #keepSessions(keep: (session: Session) => boolean): void {
    const { sessions } = this.#store.content;
    const kept = sessions.filter(keep);
    sessions.splice(0, sessions.length, ...kept);
  }

  /** What is over goes, and what came by it. */
  #prune(): void {
    const { grants } = this.#store.content;
    const now = this.#clock.now();
    this.#keepSessions((session) => this.holds(session));
    const { sessions } = this.#store.content;
    const kept = grants.filter((grant) =>
      now < grant.expires_at &&
      (!grant.spent || sessions.some((session) => session.grant === grant.id))
    );
    grants.splice(0, grants.length, ...kept);
  }
}

/** 256 bits: nobody guesses one, however often they try. */
function secret(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}
