// SPDX-License-Identifier: Apache-2.0

/**
 * Takes secrets out of what an upstream sends back. An upstream that echoes its request (an error page, a
 * debugging endpoint) would otherwise hand the agent the credential that it must not read. It is a net
 * under honest upstreams: one that works with the agent can write the secret in a form nobody knows.
 */
import type { BoundService } from "./api.ts";
import { ProxyError } from "./errors.ts";
import { concatBytes } from "../lib/bytes.ts";

/** What stands in a secret's place, as often as the secret is long: lengths and offsets stay right. */
const STAR = 0x2a;
/** Shorter values are found in ordinary text. */
const MIN_SECRET = 8;

/** The secrets of one service in the forms in which they are echoed; made once. */
export class Secrets {
  readonly #forms: readonly Form[];
  readonly #lower: readonly string[];

  constructor(values: readonly string[]) {
    const forms = new Set<string>();
    for (const value of values) {
      for (const form of [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]) {
        if (form.length >= MIN_SECRET) forms.add(form);
      }
    }
    // What holds a shorter one is hidden with it.
    this.#forms = [...forms].filter((form) =>
      ![...forms].some((other) => other !== form && form.includes(other))
    ).map((form) => new Form(form));
    this.#lower = [...forms].map((form) => form.toLowerCase());
  }

  /** Whether a header's name, which is in lower case whatever was sent, holds one. */
  isInName(name: string): boolean {
    return this.#lower.some((form) => name.includes(form));
  }

  get isEmpty(): boolean {
    return this.#forms.length === 0;
  }

  /** In place. */
  scrubWhole(bytes: Uint8Array): void {
    for (const [start, end] of this.#found(bytes)) bytes.fill(STAR, start, end);
  }

  #found(data: Uint8Array): [number, number][] {
    const intervals: [number, number][] = [];
    for (const form of this.#forms) {
      for (let at = form.indexIn(data, 0); at !== -1; at = form.indexIn(data, at + 1)) {
        intervals.push([at, at + form.length]);
      }
    }
    return intervals;
  }

  /** Where the longest end of `data` begins that may be the beginning of a secret. */
  #tail(data: Uint8Array): number {
    return this.#forms.reduce((tail, form) => Math.min(tail, form.tailIn(data)), data.length);
  }

  /**
   * Scrubs a stream. What cannot be part of a secret is passed on at once, so that an event of a stream
   * is never held back by the next.
   */
  stream(): { push(chunk: Uint8Array): Uint8Array; end(): Uint8Array } {
    let held = new Uint8Array();
    /** Of `held`: these belong to a secret that began before. */
    let starred = 0;
    const release = (data: Uint8Array, until: number): Uint8Array => {
      const intervals: [number, number][] = [[0, starred], ...this.#found(data)];
      held = data.slice(until);
      starred = 0;
      const out = data.subarray(0, until);
      for (const [start, end] of intervals) {
        out.fill(STAR, Math.min(start, until), Math.min(end, until));
        if (start < until && end > until) starred = Math.max(starred, end - until);
        // Within what is held already known to be part of one that began before.
        else if (start === 0 && end > until) starred = Math.max(starred, end - until);
      }
      return out;
    };
    return {
      push: (chunk) => {
        const data = held.length === 0 ? chunk : concatBytes([held, chunk]);
        return release(data, this.#tail(data));
      },
      end: () => release(held, held.length),
    };
  }
}

/**
 * One byte string to look for, by Horspool's algorithm (Software: Practice and Experience 10, 1980): most
 * bytes are never looked at. (Not with node:buffer, whose search is slower, and costs every proxy 0.4 MB.)
 */
export class Form {
  readonly #bytes: Uint8Array;
  /** How far to go on when the window's last byte is this one. */
  readonly #skip = new Uint32Array(256);

  constructor(text: string) {
    this.#bytes = new TextEncoder().encode(text);
    const last = this.#bytes.length - 1;
    this.#skip.fill(this.#bytes.length);
    for (let at = 0; at < last; at++) this.#skip[this.#bytes[at]!] = last - at;
  }

  get length(): number {
    return this.#bytes.length;
  }

  indexIn(data: Uint8Array, from: number): number {
    const bytes = this.#bytes;
    const skip = this.#skip;
    const last = bytes.length - 1;
    const final = bytes[last]!;
    const end = data.length;
    for (let at = from + last; at < end;) {
      const byte = data[at]!;
      if (byte === final && this.#isAt(data, at - last, last)) return at - last;
      at += skip[byte]!;
    }
    return -1;
  }

  tailIn(data: Uint8Array): number {
    const first = this.#bytes[0]!;
    let at = data.indexOf(first, Math.max(0, data.length - this.length + 1));
    while (at !== -1 && !this.#isAt(data, at, data.length - at)) at = data.indexOf(first, at + 1);
    return at === -1 ? data.length : at;
  }

  #isAt(data: Uint8Array, start: number, count: number): boolean {
    for (let index = 0; index < count; index++) {
      if (data[start + index] !== this.#bytes[index]) return false;
    }
    return true;
  }
}

/** The decoders that there are for `Content-Encoding`; an upstream is asked for none. */
const DECODERS = new Map<string, CompressionFormat>([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "brotli" as CompressionFormat],
]);

/**
 * @param encoding the response's `Content-Encoding`, or empty
 * @returns the body without secrets and without encoding
 * @throws {ProxyError} `encoding-refused`, 502: what can't be read can't be scrubbed
 */
export function scrubBody(
  body: Body,
  encoding: string,
  secrets: Secrets,
): Body {
  const name = encoding.trim().toLowerCase();
  if (name === "" || name === "identity") {
    if (!(body instanceof Uint8Array)) return scrubStream(body, secrets);
    secrets.scrubWhole(body);
    return body;
  }
  const format = DECODERS.get(name);
  if (format === undefined) {
    throw new ProxyError(
      "encoding-refused",
      "Cannot pass on the answer: its Content-Encoding was not asked for and can't be read",
      {
        status: 502,
        hint: "the service sends encoded bodies in spite of Accept-Encoding: identity",
      },
    );
  }
  const encoded = body instanceof Uint8Array ? ReadableStream.from([body]) : body;
  return scrubStream(encoded.pipeThrough(new DecompressionStream(format)), secrets);
}

type Body = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;

function scrubStream(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  secrets: Secrets,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const scrubber = secrets.stream();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      while (true) {
        const { done, value } = await reader.read();
        const piece = done ? scrubber.end() : scrubber.push(value);
        if (piece.length > 0) controller.enqueue(piece as Uint8Array<ArrayBuffer>);
        if (done) controller.close();
        if (done || piece.length > 0) return;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** Every secret value of a service: what is injected, and what it was made of. */
export function secretValues(service: BoundService): string[] {
  return [
    ...Object.values(service.inject_headers).flatMap((value) => {
      // `Bearer <token>`: an upstream may echo the token alone.
      const space = value.indexOf(" ");
      return space === -1 ? [value] : [value, value.slice(space + 1)];
    }),
    ...Object.values(service.inject_query ?? {}),
    ...Object.values(service.inject_body ?? {}),
    ...service.secrets ?? [],
  ];
}
