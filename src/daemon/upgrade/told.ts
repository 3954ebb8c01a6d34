// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import type { Logger } from "../../lib/log.ts";
import { type StateFile, stateFile } from "../state_file.ts";

const Contents = z.object({ issued_at: z.number(), told: z.array(z.string()) });
type Contents = z.infer<typeof Contents>;

/** What the room was told of the last request: an upgrade replaces the daemon that tells of it. */
export class Told {
  readonly #file: StateFile<Contents>;
  #contents: Contents | null = null;

  constructor(path: string, log: Logger) {
    this.#file = stateFile({
      path,
      schema: Contents,
      empty: () => ({ issued_at: 0, told: [] }),
      what: "what was told of an upgrade",
      unwritten: "something may be told twice",
      log,
    });
  }

  async isNew(issuedAt: number, key: string): Promise<boolean> {
    const { issued_at, told } = this.#contents ??= await this.#file.load();
    return issued_at !== issuedAt || !told.includes(key);
  }

  async add(issuedAt: number, key: string): Promise<void> {
    const { issued_at, told } = this.#contents ??= await this.#file.load();
    const before = issued_at === issuedAt ? told : [];
    this.#contents = { issued_at: issuedAt, told: [...before, key] };
    await this.#file.save(this.#contents);
  }
}
