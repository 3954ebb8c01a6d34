// SPDX-License-Identifier: Apache-2.0

/** One client on a pair of streams: a JSON-RPC message a line. */
import type { Sdk } from "./load.ts";
import type { JSONRPCMessage, Server, Transport } from "./sdk.ts";

/** A line with a template or a payload in it; more is no message. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
const LINE_FEED = 10;

/** The SDK's own is for Node's streams. */
export class StreamTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #ended = Promise.withResolvers<void>();
  #closed = false;

  readonly #sdk: Sdk;

  constructor(
    sdk: Sdk,
    readable: ReadableStream<Uint8Array>,
    writable: WritableStream<Uint8Array>,
  ) {
    this.#sdk = sdk;
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
  }

  /** When the client has gone, or was sent away. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  start(): Promise<void> {
    void this.#read();
    return Promise.resolve();
  }

  async #read(): Promise<void> {
    // Of a line that isn't whole yet.
    let parts: Uint8Array[] = [];
    let length = 0;
    try {
      while (true) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        let rest = value;
        for (let at = rest.indexOf(LINE_FEED); at >= 0; at = rest.indexOf(LINE_FEED)) {
          this.#take([...parts, rest.subarray(0, at)]);
          parts = [];
          length = 0;
          rest = rest.subarray(at + 1);
        }
        if (rest.length > 0) parts.push(rest);
        length += rest.length;
        // What it was a question about can't be said, so nobody can be told.
        if (length > MAX_MESSAGE_BYTES) {
          throw new Error(`a line exceeds ${MAX_MESSAGE_BYTES} bytes`);
        }
      }
    } catch (thrown) {
      if (!this.#closed) this.onerror?.(thrown as Error);
    }
    await this.close();
  }

  #take(parts: readonly Uint8Array[]): void {
    const decoder = new TextDecoder();
    const line = parts.map((part) => decoder.decode(part, { stream: true })).join("") +
      decoder.decode();
    if (line.trim() === "") return;
    try {
      this.onmessage?.(this.#sdk.deserializeMessage(line));
    } catch (thrown) {
      // One line that is no message; the next may be one.
      this.onerror?.(thrown as Error);
    }
  }

  async send(message: JSONRPCMessage): Promise<void> {
    await this.#writer.write(this.#encoder.encode(this.#sdk.serializeMessage(message)));
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    // The streams are the process's own: they end with it.
    void this.#reader.cancel().catch(() => {});
    this.onclose?.();
    this.#ended.resolve();
    return Promise.resolve();
  }
}

/** The one client of this process, on its stdin and stdout, until it goes or `signal` aborts. */
export async function serveStdio(sdk: Sdk, server: Server, signal: AbortSignal): Promise<void> {
  // Stdout is the protocol's: whatever a library may say there goes where it harms nothing.
  console.log = console.info = console.debug = console.error;
  const transport = new StreamTransport(sdk, Deno.stdin.readable, Deno.stdout.writable);
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => aborted.resolve(), { once: true });
  await server.connect(transport);
  await Promise.race([transport.ended, aborted.promise]);
  await server.close();
}
