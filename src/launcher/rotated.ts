// SPDX-License-Identifier: Apache-2.0

/**
 * What proxies were given by authorization servers: a refresh token often works once, so that the one in the
 * sealed bundle is worthless after its first use. Kept sealed to this machine's key in
 * `<state>/launcher/rotated/<hash>.age`, bound to the principal and each to the sealed token that it began with:
 * other credentials of the principal come and go without it.
 */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { recipientOf, sealBundle, unsealBundle } from "../lib/sealed/mod.ts";
import type { Sensitive } from "../lib/secret/mod.ts";
import type { ProxyBootstrap } from "../proxy/api.ts";
import { readIfThere, writeAtomic } from "./files.ts";

/** Longest token that is kept. */
const MAX_TOKEN = 8_192;

interface Kept {
  /** See `BoundOauth2`. */
  readonly began: string;
  readonly refresh_token: string;
  readonly access_token: string;
  readonly expires_at?: number;
}

interface Report extends Kept {
  readonly name: string;
}

/** Of one principal, whose document names the logins. */
export interface RotatedOwner {
  readonly hash: string;
  readonly principal: string;
}

export class RotatedCredentials {
  readonly #dir: string;
  readonly #identity: Sensitive;
  readonly #log: Logger;
  /** The tail of each principal's writing. */
  readonly #writes = new Map<string, Promise<void>>();

  /**
   * @param dir `<state>/launcher/rotated`
   * @param identity the machine's age key; secret
   */
  constructor(dir: string, identity: Sensitive, log: Logger) {
    this.#dir = dir;
    this.#identity = identity;
    this.#log = log;
  }

  /** The document with the newest tokens of its logins. */
  async into(owner: RotatedOwner, document: ProxyBootstrap): Promise<ProxyBootstrap> {
    if (document.oauth2 === undefined) return document;
    await this.#writes.get(owner.hash);
    const kept = await this.#read(owner);
    return {
      ...document,
      oauth2: document.oauth2.map((login) => {
        const newest = kept.get(login.name);
        // An operator who seals it anew means the new login.
        if (newest === undefined || newest.began !== login.began) return login;
        const { expires_at: _, ...rest } = login;
        const { began: _b, ...tokens } = newest;
        return { ...rest, ...tokens };
      }),
    };
  }

  /**
   * @param line what the proxy wrote on its stdout after it was ready
   * @returns when it is on disk, or the log says why not
   */
  async take(owner: RotatedOwner, document: ProxyBootstrap, line: string): Promise<void> {
    const report = parseReport(line);
    const login = document.oauth2?.find(({ name }) => name === report?.name);
    if (report === null || login === undefined) {
      this.#log.warn("a proxy said what is not understood", { principal: owner.principal });
      return;
    }
    // Of a login that was sealed anew meanwhile.
    if (report.began !== login.began) return;
    const before = this.#writes.get(owner.hash) ?? Promise.resolve();
    const mine = before.then(() => this.#write(owner, report)).catch((thrown) =>
      this.#log.error("a renewed credential can't be kept; a new start may need a new login", {
        principal: owner.principal,
        credential: report.name,
        why: messageOf(thrown),
      })
    );
    this.#writes.set(owner.hash, mine);
    await mine;
    if (this.#writes.get(owner.hash) === mine) this.#writes.delete(owner.hash);
  }

  async #write(owner: RotatedOwner, { name, ...tokens }: Report): Promise<void> {
    const kept = await this.#read(owner);
    kept.set(name, tokens);
    const sealed = await sealBundle({
      version: 1,
      principal: owner.principal,
      credentials: Object.fromEntries(
        [...kept].map(([name, { began, ...tokens }]) => [name, {
          value: began,
          allowed_hosts: [],
          oauth2: { token_url: "", client_id: "", ...tokens },
        }]),
      ),
    }, [await recipientOf(this.#identity)]);
    await Deno.mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await writeAtomic(this.#path(owner), sealed);
  }

  async #read(owner: RotatedOwner): Promise<Map<string, Kept>> {
    const kept = new Map<string, Kept>();
    try {
      const sealed = await readIfThere(this.#path(owner));
      if (sealed === null) return kept;
      const { principal, credentials } = await unsealBundle(sealed, this.#identity);
      if (principal !== owner.principal) return kept;
      for (const [name, { value: began, oauth2 }] of Object.entries(credentials)) {
        if (oauth2?.access_token === undefined) continue;
        const { refresh_token, access_token, expires_at } = oauth2;
        kept.set(name, {
          began,
          refresh_token,
          access_token,
          ...(expires_at === undefined ? {} : { expires_at }),
        });
      }
    } catch (thrown) {
      this.#log.error("renewed credentials are unreadable; those of the bundle are tried", {
        principal: owner.principal,
        why: messageOf(thrown),
      });
    }
    return kept;
  }

  #path({ hash }: RotatedOwner): string {
    return `${this.#dir}/${hash}.age`;
  }
}

function parseReport(line: string): Report | null {
  try {
    const { name, began, refresh_token, access_token, expires_at } = JSON.parse(line).credential;
    const tokens = [refresh_token, access_token];
    if (
      typeof name !== "string" || typeof began !== "string" ||
      tokens.some((token) => typeof token !== "string" || token === "" || token.length > MAX_TOKEN)
    ) return null;
    const isDated = typeof expires_at === "number" && Number.isFinite(expires_at);
    return { name, began, refresh_token, access_token, ...(isDated ? { expires_at } : {}) };
  } catch {
    return null;
  }
}
