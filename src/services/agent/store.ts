// SPDX-License-Identifier: Apache-2.0

/** Everything that the service keeps, in one directory. Whoever is killed finds it as it was written last. */
import type { Clock } from "../../lib/clock.ts";
import { Context } from "./context.ts";
import { Database } from "./database.ts";
import { ContentFiles } from "./files.ts";
import { LogFiles } from "./log_files.ts";
import { prune } from "./retention.ts";
import { Sessions } from "./sessions.ts";

export interface StoreOptions {
  readonly dir: string;
  readonly clock: Pick<Clock, "now">;
  /** Told when something of an agent is another than before. */
  readonly changed?: (agent: string) => void;
}

export class Store implements Disposable {
  readonly sessions: Sessions;
  readonly context: Context;
  readonly #clock: Pick<Clock, "now">;

  private constructor(
    readonly database: Database,
    readonly contents: ContentFiles,
    readonly logs: LogFiles,
    { clock, changed = () => {} }: StoreOptions,
  ) {
    this.#clock = clock;
    this.sessions = new Sessions({ database, files: logs, clock, changed });
    this.context = new Context({ database, clock, changed });
  }

  static async open(options: StoreOptions): Promise<Store> {
    const { dir } = options;
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    const contents = await ContentFiles.open(`${dir}/contents`);
    const logs = await LogFiles.open(`${dir}/logs`);
    return new Store(new Database(`${dir}/index.db`), contents, logs, options);
  }

  /** Contents, one after the other. */
  async *read(hashes: readonly string[]): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (const hash of hashes) yield* this.contents.read(hash);
  }

  /** Whose sessions go on. */
  activeAgents(): string[] {
    return this.database.all("SELECT agent FROM sessions WHERE ended_at IS NULL")
      .map(({ agent }) => String(agent));
  }

  async prune(): Promise<void> {
    const { database, contents, logs, context } = this;
    await prune({ database, contents, logs, context, clock: this.#clock });
  }

  [Symbol.dispose](): void {
    this.database[Symbol.dispose]();
  }
}
