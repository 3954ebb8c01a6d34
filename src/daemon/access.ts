// SPDX-License-Identifier: Apache-2.0

/** Who a caller of the daemon's socket is, and what they may do. */
import { check, checkSelf, checkTarget, type EffectivePolicy } from "../lib/authorization/mod.ts";
import { sha256Hex } from "../lib/canonical/mod.ts";
import type { Clock } from "../lib/clock.ts";
import { createMatrixClient, MessagingError } from "../messaging/mod.ts";
import { DaemonError } from "./errors.ts";

/** A verified token is believed this long. */
const CACHE_MS = 5 * 60_000;
/** And this many are remembered at most. */
const CACHE_SIZE = 256;

export class TokenVerifier {
  readonly #homeserverUrl: string;
  readonly #clock: Clock;
  /** SHA-256 of the token → who; the token itself is not kept. */
  readonly #known = new Map<string, { userId: string; until: number }>();

  constructor(homeserverUrl: string, clock: Clock) {
    this.#homeserverUrl = homeserverUrl;
    this.#clock = clock;
  }

  /**
   * The user id behind the request's bearer token, by the homeserver's word.
   * @throws {DaemonError} `unauthenticated`; `homeserver-away` when it can't be asked
   */
  async userOf(request: Request): Promise<string> {
    const token = /^Bearer (\S{1,4096})$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (token === undefined) {
      throw new DaemonError("unauthenticated", "Cannot serve the request: it has no access token", {
        status: 401,
        hint: "use `bureau`, which sends the operator's token",
      });
    }
    const digest = await sha256Hex(token);
    const now = this.#clock.now();
    const known = this.#known.get(digest);
    if (known !== undefined && known.until > now) return known.userId;
    this.#known.delete(digest);
    const client = createMatrixClient({
      homeserverUrl: this.#homeserverUrl,
      accessToken: token,
      clock: this.#clock,
    });
    let userId: string;
    try {
      userId = (await client.whoami(AbortSignal.timeout(10_000))).user_id;
    } catch (thrown) {
      if (thrown instanceof MessagingError && (thrown.status === 401 || thrown.status === 403)) {
        throw new DaemonError(
          "unauthenticated",
          "Cannot serve the request: the homeserver does not know the access token",
          { status: 401, hint: "`deno task down`, then `deno task up` logs the operator in again" },
        );
      }
      throw new DaemonError(
        "homeserver-away",
        `Cannot serve the request: the homeserver at ${this.#homeserverUrl} did not say who you are`,
        { status: 503, cause: thrown },
      );
    }
    if (this.#known.size >= CACHE_SIZE) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(digest, { userId, until: now + CACHE_MS });
    return userId;
  }
}

export interface Viewer {
  readonly userId: string;
  /** An operator of this machine: everything about everyone on it. */
  readonly isAdmin: boolean;
  /** Policy of the viewer where it is itself a principal of this machine. */
  readonly policy: EffectivePolicy | null;
}

/**
 * Whether a viewer may do this to a principal. Operators may. Another principal needs a grant and the
 * target's allowance; a person, who has no grants on this machine, the allowance alone.
 */
export function mayDo(
  viewer: Viewer,
  action: string,
  target: { readonly userId: string; readonly policy: EffectivePolicy },
  now: number,
): boolean {
  if (viewer.isAdmin) return true;
  const question = { actor: viewer.userId, action, target: target.userId };
  return viewer.policy === null
    ? checkTarget(question, target.policy).allowed
    : check(question, { actor: viewer.policy, target: target.policy }, now).allowed;
}

/**
 * Whether a viewer may read Matrix through this machine's sync: what it may read there is then a matter
 * of its rooms. A principal needs the grant that its proxy asks of it too.
 */
export function mayFollow(viewer: Viewer, now: number): boolean {
  if (viewer.isAdmin) return true;
  return viewer.policy !== null && checkSelf(viewer.policy, "matrix/read", now).allowed;
}
