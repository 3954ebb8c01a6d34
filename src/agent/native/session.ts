// SPDX-License-Identifier: Apache-2.0

/**
 * A conversation in a file, a line of JSON for each thing that happened, so that an agent that is killed goes
 * on where it was. What was begun and not written is the last half line at most; that is cut off.
 */
import { BureauError, messageOf } from "../../lib/errors.ts";
import type { TokenUsage } from "../event.ts";
import type { Block, Message, ToolUseBlock } from "../model/types.ts";

export type Line =
  | {
    readonly type: "session";
    readonly version: 1;
    readonly id: string;
    readonly model: string;
    readonly created_at: number;
  }
  /** `source`: what the message came from, as its caller names it. */
  | { readonly type: "message"; readonly message: Message; readonly source?: string }
  /** In the place of all messages before it. */
  | { readonly type: "history"; readonly messages: readonly Message[] }
  | { readonly type: "usage"; readonly usage: TokenUsage; readonly usd: number }
  | { readonly type: "end"; readonly status: string };

export interface Totals {
  /** Everything that went in and came out. */
  tokens: number;
  usd: number;
}

const NO_TOKENS: TokenUsage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
};

/** Sources that are remembered, to take nothing twice. */
const MAX_SOURCES = 4096;

export class SessionError extends BureauError {
  override readonly name = "SessionError";
}

export class Session implements Disposable {
  readonly id: string;
  readonly #file: Deno.FsFile | null;
  readonly #told: (line: Line) => void;
  #messages: Message[] = [];
  #totals: Totals = { tokens: 0, usd: 0 };
  #isOpen = false;
  readonly #sources = new Set<string>();
  #written: Promise<void> = Promise.resolve();
  #openSource: string | null = null;

  private constructor(
    id: string,
    file: Deno.FsFile | null,
    told: (line: Line) => void = () => {},
  ) {
    this.id = id;
    this.#file = file;
    this.#told = told;
  }

  /** Nowhere but in memory. */
  static inMemory(messages: readonly Message[] = []): Session {
    const session = new Session(crypto.randomUUID(), null);
    session.#messages = [...messages];
    return session;
  }

  /**
   * @param told each line that is added from now on, when it is on the disk
   * @throws {SessionError} for a file that is none of ours
   */
  static async open(
    path: string,
    model: string,
    told?: (line: Line) => void,
  ): Promise<Session> {
    const text = await Deno.readTextFile(path).catch((thrown) => {
      if (thrown instanceof Deno.errors.NotFound) return "";
      throw new SessionError("session-unreadable", `Cannot read "${path}": ${messageOf(thrown)}`);
    });
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const lines = linesOf(whole, path);
    const first = lines[0];
    if (first !== undefined && (first.type !== "session" || first.version !== 1)) {
      throw new SessionError(
        "session-unknown",
        `Cannot go on with "${path}": it is no session file`,
        {
          hint: "name another file, or move this one away",
        },
      );
    }
    const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    // Half a line is what a killed process left.
    await file.truncate(new TextEncoder().encode(whole).length);
    await file.seek(0, Deno.SeekMode.End);
    const id = first?.type === "session" ? first.id : crypto.randomUUID();
    const session = new Session(id, file, told);
    for (const line of lines) session.#apply(line);
    if (first === undefined) {
      await session.#append({ type: "session", version: 1, id, model, created_at: Date.now() });
    }
    await session.#mend();
    return session;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  /** Whether the last turn has not ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** What began the turn that has not ended. */
  get openSource(): string | null {
    return this.#isOpen ? this.#openSource : null;
  }

  /** Whether a message of this source is in the conversation. */
  has(source: string): boolean {
    return this.#sources.has(source);
  }

  /** On the disk when it resolves. */
  async add(message: Message, source?: string): Promise<void> {
    await this.#append({ type: "message", message, ...(source === undefined ? {} : { source }) });
  }

  async replace(messages: readonly Message[]): Promise<void> {
    await this.#append({ type: "history", messages });
  }

  /** @param usage null: what was only priced */
  async spend(usage: TokenUsage | null, usd: number): Promise<void> {
    await this.#append({ type: "usage", usage: usage ?? NO_TOKENS, usd });
  }

  async end(status: string): Promise<void> {
    await this.#append({ type: "end", status });
  }

  #apply(line: Line): void {
    switch (line.type) {
      case "message":
        this.#join(line.message);
        if (line.source !== undefined) this.#remember(line.source);
        if (!this.#isOpen) {
          this.#isOpen = true;
          this.#openSource = line.source ?? null;
        }
        break;
      case "history":
        this.#messages = [...line.messages];
        break;
      case "usage": {
        const { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = line.usage;
        this.#totals = {
          tokens: this.#totals.tokens + input_tokens + output_tokens + cache_read_tokens +
            cache_write_tokens,
          usd: this.#totals.usd + line.usd,
        };
        break;
      }
      case "end":
        this.#isOpen = false;
    }
  }

  /** Two messages of one side are one: providers want the sides to take turns. */
  #join(message: Message): void {
    const last = this.#messages.at(-1);
    if (last?.role !== message.role) this.#messages.push(message);
    else {
      const content = [...last.content, ...message.content];
      this.#messages[this.#messages.length - 1] = { ...last, content };
    }
  }

  #remember(source: string): void {
    this.#sources.add(source);
    if (this.#sources.size > MAX_SOURCES) {
      this.#sources.delete(this.#sources.values().next().value!);
    }
  }

  async #append(line: Line): Promise<void> {
    this.#apply(line);
    const file = this.#file;
    if (file === null) return;
    // One after the other: what several tools of one answer take is told at one time.
    const written = this.#written.catch(() => {}).then(() => write(file, line));
    this.#written = written;
    await written;
    this.#told(line);
  }

  /** Calls whose results never came, because who ran them was killed, get one that says so. */
  async #mend(): Promise<void> {
    const last = this.#messages.at(-1);
    if (last?.role !== "assistant") return;
    const calls = last.content.filter((block): block is ToolUseBlock => block.type === "tool_use");
    if (calls.length === 0) return;
    const content: Block[] = calls.map(({ id }) => ({
      type: "tool_result",
      id,
      output: "(I was restarted meanwhile: this may have been done, in part, or not at all)",
      is_error: true,
    }));
    await this.add({ role: "user", content });
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

async function write(file: Deno.FsFile, line: Line): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  await file.syncData();
}

function linesOf(text: string, path: string): Line[] {
  return text.split("\n").filter((line) => line !== "").map((line, at) => {
    try {
      return JSON.parse(line) as Line;
    } catch (thrown) {
      throw new SessionError(
        "session-broken",
        `Cannot go on with "${path}": line ${at + 1} is no JSON (${messageOf(thrown)})`,
        { hint: "move the file away to begin anew" },
      );
    }
  });
}
