// SPDX-License-Identifier: Apache-2.0

/**
 * Finds placeholders in what a sandbox sends and puts the secrets in their places: those that may go to this
 * host. One that belongs to another host ends the request, since only a mistake or an attempt to carry a
 * credential off puts it there.
 */
import { concatBytes } from "../../lib/bytes.ts";
import { credentialExpired, ProxyError } from "../errors.ts";
import { Form } from "../scrub.ts";
import { encodeSecret, type Encoding } from "./encoding.ts";

/** What every placeholder begins with. */
export const PLACEHOLDER_PREFIX = "bureau-placeholder-";
const PREFIX = new Form(PLACEHOLDER_PREFIX);
/** A client may percent-encode more than it must. */
const OVER_ENCODED = /bureau(?:-|%2d)placeholder(?:(?:-|%2d)[a-z0-9]+)+/gi;

export interface Swap {
  readonly placeholder: string;
  /** Secret; null: it belongs to another host. */
  readonly value: string | null;
  /** Absent: everywhere. */
  readonly places?: readonly Place[];
  /** Ms epoch. */
  readonly expires_at?: number;
}

/** A part of a request: its header lines, its path and query, its body; or a WebSocket's message. */
export type Place = "header" | "address" | "body" | "message";

interface Known extends Swap {
  readonly bytes: Uint8Array;
}

export interface Swapper {
  /** @throws {ProxyError} `placeholder-wrong-host` */
  push(chunk: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

export class Placeholders {
  readonly #known: readonly Known[];
  readonly #host: string;
  /** Whether any may go to this host: only then does a length change. */
  readonly swaps: boolean;

  readonly #now: () => number;

  /** @param host as shown in a refusal */
  constructor(host: string, swaps: readonly Swap[], now: () => number = () => Date.now()) {
    this.#now = now;
    this.#host = host;
    const encoder = new TextEncoder();
    this.#known = swaps.map((swap) => ({ ...swap, bytes: encoder.encode(swap.placeholder) }))
      .sort((a, b) => b.bytes.length - a.bytes.length);
    this.swaps = swaps.some(({ value }) => value !== null);
  }

  get isEmpty(): boolean {
    return this.#known.length === 0;
  }

  /** @throws {ProxyError} `placeholder-wrong-host` */
  inText(text: string, encoding: "header" | "url"): string {
    if (this.isEmpty || !text.includes("laceholder")) return text;
    let swapped = encoding === "url"
      ? text.replace(OVER_ENCODED, (found) => found.replace(/%2d/gi, "-"))
      : text;
    if (!swapped.includes(PLACEHOLDER_PREFIX)) return text;
    for (const known of this.#known) {
      if (!swapped.includes(known.placeholder)) continue;
      swapped = swapped.replaceAll(
        known.placeholder,
        () => encodeSecret(this.#value(known, encoding === "url" ? "address" : "header"), encoding),
      );
    }
    return swapped;
  }

  /** A header's value. Basic authorization (RFC 7617) is looked into. */
  inHeader(value: string): string {
    const basic = /^(basic[ ]+)([A-Za-z0-9+/=_-]+)$/i.exec(value);
    if (basic !== null) {
      const inside = decodeBase64(basic[2]!);
      const swapped = inside === null ? null : this.inText(inside, "header");
      if (swapped !== inside && swapped !== null) return basic[1]! + btoa(swapped);
    }
    return this.inText(value, "header");
  }

  /** For a body or a message, however it is cut. What cannot be part of a placeholder is passed on at once. */
  stream(encoding: Encoding, place: "body" | "message" = "body"): Swapper {
    let held: Uint8Array = new Uint8Array();
    const run = (data: Uint8Array, last: boolean): Uint8Array => {
      const out: Uint8Array[] = [];
      let at = 0;
      while (true) {
        const found = PREFIX.indexIn(data, at);
        if (found === -1) break;
        const match = this.#matchAt(data, found);
        if (match === "more" && !last) {
          out.push(data.subarray(at, found));
          held = data.slice(found);
          return concatBytes(out);
        }
        if (match === "more" || match === null) {
          out.push(data.subarray(at, found + 1));
          at = found + 1;
          continue;
        }
        out.push(data.subarray(at, found));
        out.push(new TextEncoder().encode(encodeSecret(this.#value(match, place), encoding)));
        at = found + match.bytes.length;
      }
      const rest = data.subarray(at);
      const tail = last ? rest.length : PREFIX.tailIn(rest);
      held = rest.slice(tail);
      out.push(rest.subarray(0, tail));
      return out.length === 1 ? out[0]! : concatBytes(out);
    };
    return {
      push: (chunk) => run(held.length === 0 ? chunk : concatBytes([held, chunk]), false),
      end: () => run(held, true),
    };
  }

  #matchAt(data: Uint8Array, start: number): Known | "more" | null {
    let partial = false;
    for (const known of this.#known) {
      const { bytes } = known;
      const count = Math.min(bytes.length, data.length - start);
      let same = 0;
      while (same < count && data[start + same] === bytes[same]) same++;
      if (same === bytes.length) return known;
      if (same === count) partial = true;
    }
    return partial ? "more" : null;
  }

  #value({ placeholder, value, places, expires_at: end }: Known, place: Place): string {
    if (value !== null && end !== undefined && end <= this.#now()) {
      throw credentialExpired(`the credential of "${placeholder}"`, end);
    }
    if (value !== null && places?.includes(place) === false) {
      throw new ProxyError(
        "placeholder-wrong-place",
        `Cannot send the request: "${placeholder}" may not stand in the ${PLACES[place]}`,
        {
          status: 403,
          hint: `this credential is put in ${places.map((each) => PLACES[each]).join(", ")} only`,
        },
      );
    }
    if (value !== null) return value;
    throw new ProxyError(
      "placeholder-wrong-host",
      `Cannot send the request: "${placeholder}" may not go to "${this.#host}"`,
      {
        status: 403,
        hint: "a credential goes only to the hosts that it was sealed for, over TLS",
      },
    );
  }
}

const PLACES: Readonly<Record<Place, string>> = {
  header: "header lines",
  address: "path or query",
  body: "body",
  message: "messages of a WebSocket",
};

/** One character a byte; null for what is no base64. */
function decodeBase64(text: string): string | null {
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
}
