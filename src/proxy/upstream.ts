// SPDX-License-Identifier: Apache-2.0

/** HTTP/1.1 exchanges with one upstream over a pool of kept-alive connections. */
import { authorityOf } from "../lib/authority.ts";
import { messageOf } from "../lib/errors.ts";
import { type Destination, openWire } from "./egress.ts";
import { ProxyError } from "./errors.ts";
import { sendBody } from "./http1/body.ts";
import type { ResponseHead } from "./http1/head.ts";
import { ResponseReader } from "./http1/reader.ts";
import type { Wire } from "./wire.ts";

/** Connections kept open without work, and how long: below the 60–75 s after which servers close theirs. */
const MAX_IDLE = 16;
const MAX_IDLE_MS = 55_000;
/** A body at most this long that came together with its head is handed over as one piece. */
const WHOLE_BODY_BYTES = 64 * 1024;
/** Methods that may be sent again when a kept-alive connection turns out to be dead (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]);

export interface OutgoingRequest {
  readonly method: string;
  /** Origin-form: path and query. */
  readonly target: string;
  /** Header lines with their line ends, without Host and framing. */
  readonly headers: string;
  readonly body: ReadableStream<Uint8Array> | Uint8Array | null;
  /** Length of a streamed body when the caller said it; null: chunked. */
  readonly length: number | null;
  /** Field lines after a chunked body, asked for at its end. */
  readonly trailers?: () => string;
  /** Counted up as the bodies pass. */
  readonly bytes?: { up: number; down: number };
}

export interface IncomingResponse {
  readonly head: ResponseHead;
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Fields after a chunked body, once it was read to its end. */
  readonly trailers?: () => readonly (readonly [string, string])[];
}

export interface UpstreamCounters {
  bytesIn: number;
  bytesOut: number;
  /** Bodies of callers that nobody reads to their ends: the caller left, or was answered before. */
  abandoned: number;
}

type MessageTrailers = ResponseReader["trailers"];

interface Connection {
  readonly wire: Wire;
  readonly reader: ResponseReader;
  idleSince: number;
  stopWatch: () => void;
}

/** One exchange in flight, as the idle sweep sees it. */
interface Activity {
  last: number;
  readonly abort: () => void;
}

export interface UpstreamOptions {
  readonly egressSocket: string;
  readonly destination: Destination;
  readonly now: () => number;
  readonly counters: UpstreamCounters;
  /** Without a byte in either direction for so long, an exchange is given up. */
  readonly idleTimeoutMs: number;
  /** Called before each new connection: from then on `sweep` must be called now and then. */
  readonly onOpen: () => void;
}

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #idle: Connection[] = [];
  readonly #active = new Set<Activity>();
  /** The Host header with its line end. */
  readonly hostLine: string;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    const { host, port, tls } = options.destination;
    const shown = port === (tls ? 443 : 80)
      ? authorityOf({ host, port }).replace(/:\d+$/, "")
      : null;
    this.hostLine = `Host: ${shown ?? authorityOf({ host, port })}\r\n`;
  }

  /**
   * @param signal the caller's: aborting it closes the connection to the upstream
   * @throws {ProxyError} with a 4xx/5xx status
   */
  async exchange(request: OutgoingRequest, signal: AbortSignal): Promise<IncomingResponse> {
    const repeatable = IDEMPOTENT.has(request.method) &&
      !(request.body instanceof ReadableStream);
    while (true) {
      const kept = this.#takeIdle();
      const connection = kept ?? await this.#open(signal);
      try {
        return await this.#run(connection, request, signal);
      } catch (thrown) {
        connection.wire.close();
        const untouched = !connection.reader.started;
        if (kept !== null && untouched && repeatable && !signal.aborted) continue;
        throw this.#explain(thrown, signal);
      }
    }
  }

  async #open(signal: AbortSignal): Promise<Connection> {
    this.#options.onOpen();
    const wire = await openWire(this.#options.egressSocket, this.#options.destination, signal);
    return { wire, reader: new ResponseReader(wire), idleSince: 0, stopWatch: () => {} };
  }

  #takeIdle(): Connection | null {
    const connection = this.#idle.pop();
    if (connection === undefined) return null;
    connection.stopWatch();
    return connection;
  }

  async #run(
    connection: Connection,
    request: OutgoingRequest,
    signal: AbortSignal,
  ): Promise<IncomingResponse> {
    const { wire, reader } = connection;
    let idledOut = false;
    const activity: Activity = {
      last: this.#options.now(),
      abort: () => {
        idledOut = true;
        wire.close();
      },
    };
    const touch = () => activity.last = this.#options.now();
    const onAbort = () => wire.close();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#active.add(activity);
    const settle = () => {
      signal.removeEventListener("abort", onAbort);
      this.#active.delete(activity);
    };
    const sending = this.#send(wire, request, touch);
    try {
      if (signal.aborted) wire.close();
      // The response may come before the request is complete, so a failed write is not the end: an
      // upstream that refuses an upload says why and then closes.
      let head: ResponseHead;
      try {
        head = await reader.readHead(request.method);
      } catch (thrown) {
        wire.close();
        await sending.done.catch((sendError) => {
          if (sendError instanceof ProxyError) throw sendError;
        });
        throw idledOut ? this.#idleError() : thrown;
      }
      touch();
      const finish = () => {
        settle();
        const reusable = head.keepAlive && sending.complete() && reader.isClean;
        if (!sending.complete()) sending.cancel();
        if (reusable) this.#keep(connection);
        else wire.close();
      };
      const whole = reader.takeBuffered(WHOLE_BODY_BYTES);
      if (whole !== null) {
        this.#options.counters.bytesOut += whole.length;
        if (request.bytes !== undefined) request.bytes.down += whole.length;
        finish();
        return { head, body: whole };
      }
      // Taken when the body ends: the connection's next message has its own.
      let trailers: MessageTrailers = [];
      return {
        head,
        trailers: () => trailers,
        body: this.#stream(
          reader,
          touch,
          () => {
            trailers = reader.trailers;
            finish();
          },
          () => {
            settle();
            wire.close();
            sending.cancel();
          },
          () => idledOut,
          request.bytes,
        ),
      };
    } catch (thrown) {
      settle();
      wire.close();
      sending.cancel();
      throw thrown;
    }
  }

  /** Starts sending; the response is read meanwhile. */
  #send(wire: Wire, request: OutgoingRequest, touch: () => void) {
    const { body, length } = request;
    let framing = "";
    if (body instanceof Uint8Array) framing = `Content-Length: ${body.length}\r\n`;
    else if (body !== null) {
      framing = length === null
        ? "Transfer-Encoding: chunked\r\n"
        : `Content-Length: ${length}\r\n`;
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      framing = "Content-Length: 0\r\n";
    }
    const head = latin1Bytes(
      `${request.method} ${request.target} HTTP/1.1\r\n${this.hostLine}${request.headers}${framing}\r\n`,
    );
    let complete = false;
    const stop = new AbortController();
    const counters = this.#options.counters;
    const done = (async () => {
      if (body instanceof Uint8Array) {
        await wire.write(joinBytes(head, body));
        counters.bytesIn += body.length;
        if (request.bytes !== undefined) request.bytes.up += body.length;
      } else {
        await wire.write(head);
        if (body !== null) {
          await sendBody(wire, body, length, request.trailers, stop.signal, (count) => {
            counters.bytesIn += count;
            if (request.bytes !== undefined) request.bytes.up += count;
            touch();
          });
        }
      }
      complete = true;
    })();
    // A caller that breaks off its upload must not leave the upstream waiting for the rest.
    done.catch((thrown) => {
      if (thrown instanceof ProxyError) wire.close();
    });
    const cancel = () => {
      if (!complete && !stop.signal.aborted && body instanceof ReadableStream) counters.abandoned++;
      stop.abort();
    };
    return { done, complete: () => complete, cancel };
  }

  #stream(
    reader: ResponseReader,
    touch: () => void,
    finish: () => void,
    abandon: () => void,
    idledOut: () => boolean,
    bytes: OutgoingRequest["bytes"],
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const counters = this.#options.counters;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const piece = await reader.readBody();
          touch();
          if (piece === null) {
            finish();
            controller.close();
            return;
          }
          counters.bytesOut += piece.length;
          if (bytes !== undefined) bytes.down += piece.length;
          controller.enqueue(piece as Uint8Array<ArrayBuffer>);
        } catch (thrown) {
          abandon();
          controller.error(idledOut() ? this.#idleError() : thrown);
        }
      },
      cancel: abandon,
    }, { highWaterMark: 0 });
  }

  #keep(connection: Connection): void {
    if (this.#idle.length >= MAX_IDLE) {
      connection.wire.close();
      return;
    }
    connection.idleSince = this.#options.now();
    connection.stopWatch = connection.wire.watch(() => {
      const at = this.#idle.indexOf(connection);
      if (at !== -1) this.#idle.splice(at, 1);
      connection.wire.close();
    });
    this.#idle.push(connection);
  }

  /** Whether it holds no connection and no exchange. */
  get isUnused(): boolean {
    return this.#idle.length === 0 && this.#active.size === 0;
  }

  /** Called now and then: ends what has been silent for too long. */
  sweep(): void {
    const now = this.#options.now();
    for (const activity of this.#active) {
      if (now - activity.last > this.#options.idleTimeoutMs) activity.abort();
    }
    while (this.#idle.length > 0 && now - this.#idle[0]!.idleSince > MAX_IDLE_MS) {
      const old = this.#idle.shift()!;
      old.stopWatch();
      old.wire.close();
    }
  }

  close(): void {
    for (const connection of this.#idle.splice(0)) {
      connection.stopWatch();
      connection.wire.close();
    }
    for (const activity of this.#active) activity.abort();
  }

  #idleError(): ProxyError {
    return new ProxyError(
      "upstream-idle",
      `Cannot complete the exchange with "${authorityOf(this.#options.destination)}": no byte for ${
        Math.round(this.#options.idleTimeoutMs / 1000)
      } s`,
      { status: 504 },
    );
  }

  #explain(thrown: unknown, signal: AbortSignal): ProxyError {
    if (thrown instanceof ProxyError) return thrown;
    const target = authorityOf(this.#options.destination);
    if (signal.aborted) {
      return new ProxyError("caller-left", `Cannot complete the exchange with "${target}"`, {
        status: 499,
      });
    }
    return new ProxyError(
      "upstream-failed",
      `Cannot complete the exchange with "${target}": ${messageOf(thrown)}`,
      { status: 502, cause: thrown },
    );
  }
}

/** Header values are one byte a character; a name or target is ASCII. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function joinBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
