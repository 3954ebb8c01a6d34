// SPDX-License-Identifier: Apache-2.0

/** OAuth 2.0 refresh (RFC 6749 §6): access tokens are fetched here, shortly before the old one ends. */
import { authorityOf } from "../../lib/authority.ts";
import { concatBytes } from "../../lib/bytes.ts";
import type { BoundOauth2 } from "../api.ts";
import { parseUpstream } from "../destination.ts";
import type { Destination } from "../egress.ts";
import { ProxyError } from "../errors.ts";
import type { UpstreamEnvironment } from "../forward.ts";
import { type IncomingResponse, Upstream } from "../upstream.ts";
import type { CredentialSource, RotatedCredential } from "./source.ts";

/** A token is replaced so long before its end, or at a tenth of its life where that is less. */
const EARLY_MS = 300_000;
const REQUEST_MS = 30_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 60_000;
/** An upstream that answers 401 to everything must not make a token request of each of its requests. */
const REJECTED_AGAIN_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Both must fit the line in which the launcher is told. */
const MAX_TOKEN = 6_000;
const TOKEN = /^[\x21-\x7e]+$/;

interface Answer {
  readonly access_token: string;
  readonly refresh_token: string | undefined;
  readonly expires_in: number | undefined;
}

export class Oauth2Source implements CredentialSource {
  readonly marker: string;
  readonly upstream: Upstream;
  readonly #login: BoundOauth2;
  readonly #target: string;
  readonly #destination: Destination;
  readonly #now: () => number;
  readonly #onRotated: (rotated: RotatedCredential) => void;
  #generation = 1;
  #value: string;
  #previous: string | null = null;
  #refreshToken: string;
  #expiresAt: number | undefined;
  #freshUntil: number;
  #flight: Promise<void> | null = null;
  #failures = 0;
  #failed: ProxyError | null = null;
  #retryAt = 0;
  #rejectedAt = -Infinity;

  /** @throws {ProxyError} when the token address is not one that a credential may go to */
  constructor(
    login: BoundOauth2,
    environment: UpstreamEnvironment,
    onRotated: (rotated: RotatedCredential) => void,
  ) {
    const { destination, base } = parseUpstream(login.token_url, login.ca);
    this.#login = login;
    this.#target = base === "" ? "/" : base;
    this.#destination = destination;
    this.upstream = new Upstream({ ...environment, destination });
    this.marker = login.marker;
    this.#now = environment.now;
    this.#onRotated = onRotated;
    this.#value = login.access_token ?? "";
    this.#refreshToken = login.refresh_token;
    this.#expiresAt = login.expires_at;
    this.#freshUntil = this.#value === ""
      ? -Infinity
      : login.expires_at === undefined
      ? Infinity
      : login.expires_at - EARLY_MS;
  }

  isOf(login: BoundOauth2): boolean {
    return settingsOf(login) === settingsOf(this.#login);
  }

  get generation(): number {
    return this.#generation;
  }

  get value(): string {
    return this.#value;
  }

  get isFresh(): boolean {
    return this.#now() < this.#freshUntil;
  }

  get secrets(): string[] {
    const { client_secret } = this.#login;
    return [this.#value, this.#previous, this.#refreshToken, client_secret].filter(
      (secret) => typeof secret === "string" && secret !== "",
    ) as string[];
  }

  rejected(generation: number): boolean {
    if (generation !== this.#generation) return true;
    const now = this.#now();
    if (now - this.#rejectedAt < REJECTED_AGAIN_MS) return false;
    this.#rejectedAt = now;
    this.#freshUntil = -Infinity;
    // Its end was not what it said.
    this.#expiresAt = now;
    return true;
  }

  async refresh(): Promise<void> {
    if (this.isFresh) return;
    try {
      await (this.#flight ??= this.#attempt().finally(() => this.#flight = null));
    } catch (thrown) {
      // The old one may have minutes left.
      if (this.#value === "" || this.#now() >= (this.#expiresAt ?? Infinity)) throw thrown;
    }
  }

  async #attempt(): Promise<void> {
    if (this.#failed !== null && this.#now() < this.#retryAt) throw this.#failed;
    let answer: Answer;
    try {
      answer = await this.#request();
    } catch (thrown) {
      const backoff = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures++, BACKOFF_LAST_MS);
      // Proxies that were refused together don't come back together.
      this.#retryAt = this.#now() + backoff * (0.5 + Math.random() / 2);
      this.#failed = this.#explain(thrown);
      throw this.#failed;
    }
    this.#failures = 0;
    this.#failed = null;
    this.#take(answer);
  }

  #take({ access_token, refresh_token, expires_in }: Answer): void {
    const now = this.#now();
    const expiresAt = expires_in === undefined ? undefined : now + expires_in * 1000;
    // Told before it is used: one that is used up and not kept would lock the principal out.
    this.#onRotated({
      name: this.#login.name,
      began: this.#login.began,
      refresh_token: refresh_token ?? this.#refreshToken,
      access_token,
      ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
    });
    this.#previous = this.#value;
    this.#value = access_token;
    this.#refreshToken = refresh_token ?? this.#refreshToken;
    this.#expiresAt = expiresAt;
    this.#freshUntil = expires_in === undefined
      ? Infinity
      : now + expires_in * 1000 - Math.min(EARLY_MS, expires_in * 100);
    this.#generation++;
  }

  async #request(): Promise<Answer> {
    const { client_id, client_secret, scope, body } = this.#login;
    const fields = {
      grant_type: "refresh_token",
      refresh_token: this.#refreshToken,
      client_id,
      ...(client_secret === undefined ? {} : { client_secret }),
      ...(scope === undefined ? {} : { scope }),
    };
    const isJson = body === "json";
    const type = isJson ? "application/json" : "application/x-www-form-urlencoded";
    const text = isJson ? JSON.stringify(fields) : new URLSearchParams(fields).toString();
    const response = await this.upstream.exchange({
      method: "POST",
      target: this.#target,
      headers: `Content-Type: ${type}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n`,
      body: new TextEncoder().encode(text),
      length: null,
    }, AbortSignal.timeout(REQUEST_MS));
    const answer = await this.#json(response);
    const { status } = response.head;
    if (status >= 200 && status < 300) return this.#parse(answer);
    const code = answer["error"];
    // RFC 6749 §5.2. The text of the answer is not shown: it may repeat the request.
    if (status < 500 && (code === "invalid_grant" || status === 401)) {
      throw this.#error(
        "credential-revoked",
        `"${authorityOf(this.#destination)}" no longer takes the refresh token`,
        "log in again and seal it anew: `bureau agent create NAME --credentials FILE`",
      );
    }
    throw this.#error(
      "credential-refresh-failed",
      `"${authorityOf(this.#destination)}" answered ${status}`,
    );
  }

  async #json({ body }: IncomingResponse): Promise<Record<string, unknown>> {
    const pieces: Uint8Array[] = [];
    let count = 0;
    for await (const piece of body instanceof Uint8Array ? [body] : body) {
      count += piece.length;
      if (count > MAX_ANSWER_BYTES) throw this.#unreadable();
      pieces.push(piece);
    }
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(concatBytes(pieces, count)));
      return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
    } catch {
      return {};
    }
  }

  #parse(answer: Record<string, unknown>): Answer {
    const token = (name: string) => {
      const found = answer[name];
      if (found === undefined || found === null) return undefined;
      if (typeof found === "string" && found.length <= MAX_TOKEN && TOKEN.test(found)) return found;
      throw this.#unreadable();
    };
    const access_token = token("access_token");
    if (access_token === undefined) throw this.#unreadable();
    const seconds = Number(answer["expires_in"] ?? NaN);
    return {
      access_token,
      refresh_token: token("refresh_token"),
      expires_in: seconds > 0 && Number.isFinite(seconds)
        ? seconds
        : secondsLeft(access_token, this.#now()),
    };
  }

  #explain(thrown: unknown): ProxyError {
    const code = "credential-refresh-failed";
    if (!(thrown instanceof ProxyError)) return this.#error(code, "the exchange broke off");
    if (thrown.code.startsWith("credential-")) return thrown;
    // The gate's own words among others: a template that doesn't let it there.
    return this.#error(code, thrown.message, thrown.hint);
  }

  #unreadable(): ProxyError {
    return this.#error(
      "credential-refresh-failed",
      `"${authorityOf(this.#destination)}" answered something that is no token`,
    );
  }

  #error(code: string, why: string, hint = "it is tried again with the next requests"): ProxyError {
    return new ProxyError(code, `Cannot renew the credential "${this.#login.name}": ${why}`, {
      status: 502,
      hint,
    });
  }
}

/** All that its tokens come from. */
function settingsOf(login: BoundOauth2): string {
  const { refresh_token: _r, access_token: _a, expires_at: _e, ...settings } = login;
  return JSON.stringify(Object.entries(settings).sort());
}

/** Of a JWT (RFC 7519) whose issuer does not say it beside it; what is none lasts until it is refused. */
function secondsLeft(token: string, now: number): number | undefined {
  try {
    const claims = JSON.parse(
      new TextDecoder().decode(
        Uint8Array.fromBase64(token.split(".")[1]!, { alphabet: "base64url" }),
      ),
    );
    const left = Number(claims.exp) - now / 1000;
    return left > 0 ? left : undefined;
  } catch {
    return undefined;
  }
}
