// SPDX-License-Identifier: Apache-2.0

/** The payload of a sandbox that runs: its agent reads the old one or the new one, never half of one (W-38). */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ResolvedSpec } from "../lib/template/mod.ts";
import type { Tmux } from "../lib/tmux/mod.ts";
import { readIfThere, writeAtomic } from "./files.ts";

/** In the directory of a cell. */
export const PAYLOAD_FILE = "contract/payload.json";

export function payloadText(payload: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(payload);
}

/** Where a principal's payload lies, and who is told that it is another one. */
export class PayloadFile {
  readonly #cell: string;
  readonly #tmux: Tmux;
  readonly #principal: string;
  readonly #log: Logger;
  /** It was replaced while the agent was frozen, and could not hear of it. */
  #owed = false;

  /** @param cell host directory of the cell */
  constructor(cell: string, tmux: Tmux, principal: string, log: Logger) {
    this.#cell = cell;
    this.#tmux = tmux;
    this.#principal = principal;
    this.#log = log;
  }

  /**
   * @param frozen nobody there can hear of it now
   * @param again an earlier launcher may have been killed between the payload and its signal
   */
  async put(
    { payload, reload }: Pick<ResolvedSpec, "payload" | "reload">,
    frozen: boolean,
    again = false,
  ): Promise<void> {
    const text = payloadText(payload);
    const isNew = await readIfThere(`${this.#cell}/${PAYLOAD_FILE}`) !== text;
    if (isNew) {
      // Beside the contract, which the agent sees as a directory.
      await writeAtomic(`${this.#cell}/payload.json`, text);
      await Deno.rename(`${this.#cell}/payload.json`, `${this.#cell}/${PAYLOAD_FILE}`);
    }
    if (reload === null || !(isNew || again)) return;
    if (frozen) this.#owed = true;
    else await this.#tell();
  }

  async thawed(): Promise<void> {
    if (this.#owed) await this.#tell();
  }

  /** That it could not be told leaves the payload in its place. */
  async #tell(): Promise<void> {
    this.#owed = false;
    try {
      const pane = await this.#tmux.pane();
      if (pane === null || pane.dead) return;
      await this.#tmux.shell(`sh /cell/reload.sh ${pane.pid} >/dev/null 2>&1 &`);
    } catch (thrown) {
      this.#log.warn("an agent was not told of its payload", {
        principal: this.#principal,
        why: messageOf(thrown),
      });
    }
  }
}
