// SPDX-License-Identifier: Apache-2.0

/** Who a caller of the daemon's socket is. What they may do is `Authority`'s. */
import { bearerOf } from "../lib/bearer.ts";
import { sha256Hex } from "../lib/canonical/mod.ts";
import type { Clock } from "../lib/clock.ts";
import { createMatrixClient, MessagingError } from "../messaging/mod.ts";
import { DaemonError } from "./errors.ts";
import { guestOf } from "./web/guest.ts";

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
   * The user id behind the request's bearer token, by the homeserver's word, or behind its web session.
   * @throws {DaemonError} `unauthenticated`; `homeserver-away` when it can't be asked
   */
  async userOf(request: Request): Promise<string> {
    const guest = guestOf(request);
    if (guest !== undefined) return guest.userId;
    const token = bearerOf(request);
    if (token === "") {
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
