// SPDX-License-Identifier: Apache-2.0

/**
 * A conversation's way into the agent service and back: a commit for each turn, in the lines of its own file
 * (`bureau-agent-v1`), and a file made from such lines.
 */
import * as z from "zod/mini";
import type { Recorder } from "../recorder/mod.ts";
import type { Line, Session } from "./session.ts";

const FORMAT = "bureau-agent-v1";
const SUMMARY = 200;

const Message = z.object({
  role: z.enum(["user", "assistant"]),
  content: z.array(z.looseObject({ type: z.string() })),
});

/** What is taken from lines that somebody else may have written. */
const Kept = z.discriminatedUnion("type", [
  z.object({ type: z.literal("message"), message: Message, source: z.optional(z.string()) }),
  z.object({ type: z.literal("history"), messages: z.array(Message) }),
  z.object({ type: z.literal("end"), status: z.string() }),
]);

export class Keeper {
  readonly #recorder: Recorder;
  #lines: Line[] = [];

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  readonly line = (line: Line): void => {
    if (line.type !== "session" && line.type !== "usage") this.#lines.push(line);
  };

  /** After a turn's end. */
  commit(session: Session, said: string): void {
    const lines = this.#lines;
    this.#lines = [];
    const isCompacted = lines.some(({ type }) => type === "history");
    const isWhole = this.#recorder.hasGap;
    const all: Line[] = isCompacted || isWhole
      ? [{ type: "history", messages: session.messages }, { type: "end", status: "completed" }]
      : lines;
    this.#recorder.commit({
      type: isWhole ? "snapshot" : isCompacted ? "compaction" : "delta",
      format: FORMAT,
      checkpoint: isCompacted ? "compaction" : "turn",
      messages: session.messages.length,
      summary: said.slice(0, SUMMARY),
    }, () => textOf(all));
  }

  /**
   * Makes the file of a conversation that goes on from where the service has it.
   * @param only when an operator put it there (`agent context fork`)
   * @returns whether there is one now
   */
  async restore(path: string, model: string, only: boolean): Promise<boolean> {
    const context = await this.#recorder.context(({ format, session_id }) =>
      format === FORMAT && (!only || session_id === null)
    );
    if (context === null) return false;
    const lines = linesOf(context.content);
    if (lines === null) {
      this.#recorder.say(`what ${context.tip.id} says is no conversation; a new one begins`);
      return false;
    }
    const id = context.tip.session_id ?? crypto.randomUUID();
    const head: Line = { type: "session", version: 1, id, model, created_at: Date.now() };
    await Deno.writeTextFile(`${path}.new`, textOf([head, ...lines]), { mode: 0o600 });
    await Deno.rename(`${path}.new`, path);
    return true;
  }
}

function textOf(lines: readonly Line[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Null: some of it is no line of a conversation. */
function linesOf(text: string): Line[] | null {
  try {
    return text.split("\n").filter((line) => line !== "")
      .map((line) => z.parse(Kept, JSON.parse(line)) as Line);
  } catch {
    return null;
  }
}
