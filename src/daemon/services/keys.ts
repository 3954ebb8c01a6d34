// SPDX-License-Identifier: Apache-2.0

/**
 * The machine's signing keys for service tokens (`<state>/daemon/token-keys.json`, 0600). A key is published
 * some time before it signs, and stays published as long as a token that it signed may live: no token is ever
 * signed by a key that its readers can't know (rotation with overlap).
 */
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import { generateTokenKey, TOKEN_LIFE_MS, type TokenKey } from "../../lib/token/mod.ts";
import { DaemonError } from "../errors.ts";
import { writeWhole } from "./files.ts";

/** How long a key signs. */
export const ROTATE_MS = 7 * 24 * 3_600_000;
/** How long it is published before. */
export const LEAD_MS = 10 * 60_000;
/** How long it is published after, beside the life of a token: for clocks that differ. */
const LINGER_MS = TOKEN_LIFE_MS + 60_000;

const Stored = z.object({
  version: z.literal(1),
  keys: z.array(z.object({
    public_key: z.string(),
    /** Secret. */
    private_jwk: z.record(z.string(), z.unknown()),
    /** From when it signs, ms since the epoch. */
    from: z.number(),
  })),
});

export interface DatedKey extends TokenKey {
  readonly from: number;
}

export interface KeysNow {
  readonly signs: DatedKey;
  /** Published besides: the next one, and those whose tokens may live. */
  readonly others: readonly { readonly public_key: string; readonly until?: number }[];
  /** When this will be different. */
  readonly changesAt: number;
}

/** @param keys by `from`, at least one. Pure. */
export function keysAt(keys: readonly DatedKey[], now: number): KeysNow {
  const at = Math.max(0, keys.findLastIndex((key) => key.from <= now));
  const others: { public_key: string; until?: number }[] = [];
  let changesAt = Infinity;
  for (const [index, { publicKey, from }] of keys.entries()) {
    if (index > at) {
      others.push({ public_key: publicKey });
      changesAt = Math.min(changesAt, from);
    } else if (index < at) {
      const until = keys[index + 1]!.from + LINGER_MS;
      if (until <= now) continue;
      others.push({ public_key: publicKey, until });
      changesAt = Math.min(changesAt, until);
    }
  }
  if (at === keys.length - 1) changesAt = Math.min(changesAt, keys[at]!.from + ROTATE_MS - LEAD_MS);
  return { signs: keys[at]!, others, changesAt };
}

export class SigningKeys {
  readonly #path: string;
  #keys: DatedKey[] = [];

  constructor(stateDir: string) {
    this.#path = `${stateDir}/token-keys.json`;
  }

  /** Whether this machine ever had any. */
  async exist(): Promise<boolean> {
    return await Deno.lstat(this.#path).then(() => true, () => false);
  }

  /** Reads them, makes the first and the next in time, forgets the last. @throws {DaemonError} `bad-token-keys` */
  async at(now: number): Promise<KeysNow> {
    if (this.#keys.length === 0) this.#keys = await this.#load();
    const before = this.#keys;
    const last = before.at(-1);
    if (last === undefined) await this.#add(now);
    else if (now >= last.from + ROTATE_MS - LEAD_MS) await this.#add(now + LEAD_MS);
    const result = keysAt(this.#keys, now);
    const published = new Set([
      result.signs.publicKey,
      ...result.others.map(({ public_key }) => public_key),
    ]);
    this.#keys = this.#keys.filter(({ publicKey }) => published.has(publicKey));
    if (this.#keys.length !== before.length || last !== this.#keys.at(-1)) await this.#save();
    return result;
  }

  async #add(from: number): Promise<void> {
    this.#keys = [...this.#keys, { ...await generateTokenKey(), from }];
    // On disk before it is published: a key that was lost can't be taken back.
    await this.#save();
  }

  async #load(): Promise<DatedKey[]> {
    let text: string;
    try {
      text = await Deno.readTextFile(this.#path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return [];
      throw thrown;
    }
    try {
      const { keys } = z.parse(Stored, JSON.parse(text));
      return keys.map(({ public_key, private_jwk, from }) => ({
        publicKey: public_key,
        privateJwk: private_jwk as JsonWebKey,
        from,
      }));
    } catch (thrown) {
      throw new DaemonError(
        "bad-token-keys",
        `Cannot sign service tokens: "${this.#path}" can't be read`,
        {
          cause: new Error(messageOf(thrown).slice(0, 200)),
          hint: "remove the file: new keys are made and published",
        },
      );
    }
  }

  async #save(): Promise<void> {
    const keys = this.#keys.map(({ publicKey, privateJwk, from }) => ({
      public_key: publicKey,
      private_jwk: privateJwk,
      from,
    }));
    await writeWhole(this.#path, JSON.stringify({ version: 1, keys }), 0o600);
  }
}
