// SPDX-License-Identifier: Apache-2.0

/**
 * What an agent does, as a thread below what it was asked: its tools and what it says between them, several in one
 * message. Its last words are the answer, and no part of it.
 */
import type { AgentEvent } from "../../src/agent/event.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import type { Message } from "./room.ts";

/** More often is of no use to readers. Synapse takes ten at once, then one in 5 s, and says how long it wants to wait. */
const REST_MS = 2_000;
const RETRY_MS = 5_000;
const MAX_LINE = 300;
/** Of one message; what is older goes. */
const MAX_LINES = 40;

export interface ProgressOptions {
  readonly send: ProxyClient["matrix"]["send"];
  /** A message that the agent was given. */
  readonly find: (id: string) => Message | null;
  readonly clock?: Clock;
}

interface Batch {
  readonly room: string;
  readonly thread: string;
  readonly lines: string[];
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #clock: Clock;
  /** To be sent, in order: one for each thread. */
  readonly #batches: Batch[] = [];
  /** Of the turn that goes on; null: nobody in a room asked for it. */
  #message: Message | null = null;
  #text: string | null = null;
  #isSending = false;
  #isRefused = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  tell(event: AgentEvent): void {
    switch (event.type) {
      case "prompt":
        if (event.id !== undefined) this.#message ??= this.#options.find(event.id);
        break;
      case "text":
        if (event.partial === true) break;
        this.#addText();
        this.#text = event.text;
        break;
      case "tool_call":
        this.#addText();
        this.#add(`▸ ${event.name} ${JSON.stringify(event.input) ?? ""}`);
        break;
      case "tool_result":
        if (event.is_error) this.#add(`✗ ${event.output}`);
        break;
      case "error":
        this.#add(`! ${event.message}`);
        break;
      case "end":
        this.#text = null;
        this.#message = null;
    }
  }

  #addText(): void {
    if (this.#text !== null) this.#add(this.#text);
    this.#text = null;
  }

  #add(text: string): void {
    if (this.#message === null || this.#isRefused) return;
    const { room, id } = this.#message;
    const thread = this.#message.thread ?? id;
    let batch = this.#batches.at(-1);
    if (batch?.thread !== thread) this.#batches.push(batch = { room, thread, lines: [] });
    batch.lines.push(short(text));
    if (batch.lines.length > MAX_LINES) batch.lines.shift();
    if (!this.#isSending) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    while (this.#batches.length > 0 && !this.#isRefused) {
      const rest = await this.#send(this.#batches.shift()!);
      await this.#clock.sleep(rest);
    }
    this.#isSending = false;
  }

  /** @returns how long nothing is sent now */
  async #send({ room, thread, lines }: Batch): Promise<number> {
    try {
      await this.#options.send(room, "m.room.message", {
        msgtype: "m.notice",
        body: lines.join("\n"),
        "m.relates_to": { rel_type: "m.thread", event_id: thread },
      }, crypto.randomUUID());
    } catch (thrown) {
      // What it did is on its terminal and in its recording, too.
      const { isPassing = true, retryAfterMs } = thrown as {
        isPassing?: boolean;
        retryAfterMs?: number;
      };
      this.#isRefused = !isPassing;
      return Math.max(RETRY_MS, retryAfterMs ?? 0);
    }
    return REST_MS;
  }
}

function short(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= MAX_LINE ? line : `${line.slice(0, MAX_LINE)}…`;
}
