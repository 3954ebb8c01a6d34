// SPDX-License-Identifier: Apache-2.0

/** Listens to what one relay says of its terminal. It comes from a cell, so it is read like a stranger's. */
import * as z from "zod/mini";
import type { Clock } from "../../lib/clock.ts";
import { UNIX_HOST } from "../../lib/http/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5_000;
const MAX_FRAME_CHARS = 16 * 1024;
const MAX_LINE = 400;

/** Hostile text as one short harmless line. */
export const line = (text: string): string =>
  neutraliseLine(text).toWellFormed().slice(0, MAX_LINE);
const Line = z.pipe(z.string(), z.transform(line));

const Frame = z.object({
  type: z.literal("activity"),
  last_output: z.nullable(z.number()),
  quiet: z.boolean(),
  bell: z.nullable(z.number()),
  typed: z.nullable(z.number()),
  title: Line,
  last_line: Line,
  looks: z.nullable(z.object({
    means: z.enum(["waiting", "idle"]),
    kind: Line,
    line: Line,
    since: z.number(),
  })),
});
export type HeardActivity = z.infer<typeof Frame>;

export interface ActivityLinkOptions {
  /** `relay.sock` on the host. */
  readonly socket: string;
  /** Patterns of the template. */
  readonly waiting: readonly string[];
  readonly clock: Clock;
  /** Null: it is not heard any more. */
  readonly onActivity: (activity: HeardActivity | null) => void;
}

export class ActivityLink {
  readonly #options: ActivityLinkOptions;
  readonly #stop = new AbortController();
  #waiting: readonly string[];
  #socket: WebSocket | null = null;

  constructor(options: ActivityLinkOptions) {
    this.#options = options;
    this.#waiting = options.waiting;
    this.#run();
  }

  /** From now on these; also told to every later relay behind the same socket. */
  setWaiting(waiting: readonly string[]): void {
    if (JSON.stringify(waiting) === JSON.stringify(this.#waiting)) return;
    this.#waiting = waiting;
    this.#tell();
  }

  /** A line in the agent's recording. A relay that is away records nothing, so there is nothing to mark. */
  mark(text: string): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ type: "mark", text }));
  }

  close(): void {
    this.#stop.abort();
    this.#socket?.close();
  }

  #tell(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ type: "watch", waiting: this.#waiting }));
  }

  /** Until it is closed: relays come a moment after their principal, and die and come again. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; failures++) {
      if (await this.#isThere() && await this.#listen()) failures = 0;
      const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 10));
      await this.#options.clock.sleep(wait, signal).catch(() => {});
    }
  }

  /** To look costs little; a connection that fails as much as one that doesn't, for each of a hundred agents. */
  async #isThere(): Promise<boolean> {
    return await Deno.stat(this.#options.socket).then(() => true, () => false);
  }

  /** Resolves when it is over. @returns whether anything was heard */
  #listen(): Promise<boolean> {
    const { socket: path, onActivity } = this.#options;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    // A client of its own for each relay: a pooled connection may lead to the one before.
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const socket = new WebSocket(`ws://${UNIX_HOST}/v1/activity`, { client });
    this.#socket = socket;
    let heard = false;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      this.#socket = null;
      client.close();
      if (heard && !this.#stop.signal.aborted) onActivity(null);
      resolve(heard);
    };
    socket.onopen = () => {
      if (this.#stop.signal.aborted) return socket.close();
      this.#tell();
    };
    socket.onmessage = ({ data }) => {
      const activity = parse(data);
      if (activity === null || this.#stop.signal.aborted) return;
      heard = true;
      onActivity(activity);
    };
    socket.onclose = end;
    socket.onerror = () => {
      socket.close();
      end();
    };
    return promise;
  }
}

function parse(data: unknown): HeardActivity | null {
  if (typeof data !== "string" || data.length > MAX_FRAME_CHARS) return null;
  try {
    const parsed = z.safeParse(Frame, JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
