// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";

const Contents = z.object({ issued_at: z.number(), told: z.array(z.string()) });

/** What the room was told of the last request: an upgrade replaces the daemon that tells of it. */
export class Told {
  readonly #path: string;
  readonly #log: Logger;
  #contents: z.infer<typeof Contents> | null = null;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  async isNew(issuedAt: number, key: string): Promise<boolean> {
    const { issued_at, told } = this.#contents ??= await this.#read();
    return issued_at !== issuedAt || !told.includes(key);
  }

  async add(issuedAt: number, key: string): Promise<void> {
    const { issued_at, told } = this.#contents ??= await this.#read();
    const before = issued_at === issuedAt ? told : [];
    this.#contents = { issued_at: issuedAt, told: [...before, key] };
    try {
      const fresh = `${this.#path}.new`;
      await Deno.writeTextFile(fresh, JSON.stringify(this.#contents), { mode: 0o600 });
      await Deno.rename(fresh, this.#path);
    } catch (thrown) {
      this.#log.warn("not remembered what was told of an upgrade", { why: messageOf(thrown) });
    }
  }

  async #read(): Promise<z.infer<typeof Contents>> {
    try {
      return z.parse(Contents, JSON.parse(await Deno.readTextFile(this.#path)));
    } catch {
      // Missing or damaged: something may be told twice.
      return { issued_at: 0, told: [] };
    }
  }
}
