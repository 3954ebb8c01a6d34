// SPDX-License-Identifier: Apache-2.0

/** What outlives the program: which session it goes on with, and which messages it was working on. */
import * as z from "zod/mini";

const State = z.object({
  version: z.literal(1),
  /** Null: none was begun. */
  session_id: z.nullable(z.string()),
  /** What the session has cost so far. */
  usd: z.number(),
  /** The messages that the agent was given and has not answered yet. Before there could be several: one, or null. */
  given: z.union([z.array(z.string()), z.nullable(z.string())]),
});
export interface State extends Omit<z.infer<typeof State>, "given"> {
  readonly given: readonly string[];
}

const NOTHING: State = { version: 1, session_id: null, usd: 0, given: [] };

export class StateFile {
  #state: State;

  private constructor(readonly path: string, state: State) {
    this.#state = state;
  }

  /** A file that cannot be read is no file: the agent begins anew rather than not at all. */
  static async open(path: string): Promise<StateFile> {
    try {
      const read = z.parse(State, JSON.parse(await Deno.readTextFile(path)));
      return new StateFile(path, { ...read, given: [read.given ?? []].flat() });
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) {
        console.log(`the session in ${path} cannot be read; a new one begins`);
      }
      return new StateFile(path, NOTHING);
    }
  }

  get now(): State {
    return this.#state;
  }

  /** On the disk when it returns. */
  async change(change: Partial<State>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    await Deno.mkdir(this.path.replace(/\/[^/]*$/, ""), { recursive: true });
    const half = `${this.path}.new`;
    const file = await Deno.open(half, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      await file.write(new TextEncoder().encode(JSON.stringify(this.#state)));
      await file.syncData();
    } finally {
      file.close();
    }
    await Deno.rename(half, this.path);
  }
}
