// SPDX-License-Identifier: Apache-2.0

/** What broker and agents say to one another: JSON, one object a line. */
import * as z from "zod/mini";
import { MailMessage, MAX_MESSAGE_BYTES } from "./message.ts";

const address = z.string().check(z.minLength(1), z.maxLength(512));
const correlation = z.string().check(z.minLength(1), z.maxLength(200));

/** The first is `hello`; each but `subscribe` has its answer. */
export const FromAgent = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("hello"), agent: address, token: z.string() }),
  z.object({ kind: z.literal("deliver"), to: address, message: MailMessage }),
  z.object({ kind: z.literal("subscribe") }),
  z.object({ kind: z.literal("ack"), id: z.string() }),
  z.object({ kind: z.literal("cancel"), to: address, correlation_id: correlation }),
]);
export type FromAgent = z.infer<typeof FromAgent>;

export const FromBroker = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("welcome") }),
  z.object({ kind: z.literal("error"), reason: z.string(), id: z.optional(z.string()) }),
  z.object({ kind: z.literal("message"), id: z.string(), message: MailMessage }),
  /** It is on disk. `id` of the message. */
  z.object({ kind: z.literal("delivered"), id: z.string() }),
  z.object({ kind: z.literal("cancel"), correlation_id: correlation }),
]);
export type FromBroker = z.infer<typeof FromBroker>;

/** A message and what stands around it. */
const MAX_LINE_BYTES = MAX_MESSAGE_BYTES + 16 * 1024;

export class LineTooLong extends Error {}

/** Lines of a connection, none longer than a frame may be. @throws {LineTooLong} */
export async function* linesOf(readable: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readable) {
    let rest = chunk;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      pieces.push(rest.subarray(0, end));
      if (length + end > MAX_LINE_BYTES) throw new LineTooLong("a line is too long");
      const whole = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
      yield decoder.decode(whole);
      [pieces, length] = [[], 0];
      rest = rest.subarray(end + 1);
    }
    length += rest.length;
    if (length > MAX_LINE_BYTES) throw new LineTooLong("a line is too long");
    if (rest.length > 0) pieces.push(rest.slice());
  }
}

/** Writes frames in order, and knows how much is still on its way. */
export class FrameWriter {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** Bytes that the other side has not taken. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Never throws: that the connection is gone its reader says. */
  send(frame: FromAgent | FromBroker): void {
    const bytes = new TextEncoder().encode(`${JSON.stringify(frame)}\n`);
    this.#waiting += bytes.length;
    this.#last = this.#writer.write(bytes).catch(() => {}).finally(() =>
      this.#waiting -= bytes.length
    );
  }

  /** What was sent has left, or can't. */
  async flushed(): Promise<void> {
    await this.#last;
  }
}
