// SPDX-License-Identifier: Apache-2.0

/** Credentials that an API takes in its request's body: fields of a form, or places in a JSON document. */
import { concatBytes } from "../lib/bytes.ts";
import { badRequest, ProxyError } from "./errors.ts";

/** A body that is rewritten is held whole; longer ones are refused. */
export const MAX_INJECTED_BODY = 1024 * 1024;

/** Decides for one service; made once, used for every request. */
export class BodyPolicy {
  readonly #fields: ReadonlyMap<string, string>;
  readonly #pointers: readonly (readonly [readonly string[], string])[];

  /** @param inject JSON pointer (RFC 6901: begins with a slash) or a form field's name → value */
  constructor(inject: Readonly<Record<string, string>>) {
    const entries = Object.entries(inject);
    this.#fields = new Map(entries.filter(([place]) => !place.startsWith("/")));
    this.#pointers = entries.filter(([place]) => place.startsWith("/"))
      .map(([place, value]) => [pointerTokens(place), value] as const);
  }

  get isEmpty(): boolean {
    return this.#fields.size === 0 && this.#pointers.length === 0;
  }

  /**
   * The caller's body with the credentials in it; what the caller put in their places is gone.
   *
   * @throws {ProxyError} 400, 413 or 415: a body that can't be read is not sent on without its credentials
   */
  async toUpstream(
    headers: Headers,
    body: ReadableStream<Uint8Array>,
    length: number | null,
  ): Promise<Uint8Array> {
    const type = (headers.get("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
    const isForm = type === "application/x-www-form-urlencoded" && this.#fields.size > 0;
    const isJson = /^application\/(?:[^;]*\+)?json$/.test(type) && this.#pointers.length > 0;
    const coding = (headers.get("content-encoding") ?? "identity").trim().toLowerCase();
    if (!(isForm || isJson) || coding !== "identity") throw this.#unreadable();
    const text = decodeText(await readWhole(body, length));
    return new TextEncoder().encode(isForm ? this.#inForm(text) : this.#inJson(text));
  }

  #unreadable(): ProxyError {
    const kinds = [
      ...(this.#pointers.length > 0 ? ["application/json"] : []),
      ...(this.#fields.size > 0 ? ["application/x-www-form-urlencoded"] : []),
    ];
    return new ProxyError(
      "body-type",
      "Cannot forward the request: its body is not of a kind that the service's credential goes into",
      { status: 415, hint: `send ${kinds.join(" or ")} without a Content-Encoding` },
    );
  }

  #inForm(text: string): string {
    const names = new Set([...this.#fields.keys()].map((name) => name.toLowerCase()));
    const kept = text.split(/[&;]/).filter((part) => part !== "" && !names.has(fieldName(part)));
    for (const [name, value] of this.#fields) {
      kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    }
    return kept.join("&");
  }

  #inJson(text: string): string {
    let document: unknown;
    try {
      document = parseExactly(text);
    } catch {
      throw badRequest("its body is not JSON");
    }
    for (const [tokens, value] of this.#pointers) setAt(document, tokens, value);
    return JSON.stringify(document);
  }
}

/** @throws {ProxyError} 413 */
async function readWhole(
  body: ReadableStream<Uint8Array>,
  length: number | null,
): Promise<Uint8Array> {
  const tooLarge = () =>
    new ProxyError(
      "body-too-large",
      `Cannot forward the request: a body that a credential goes into may have ${MAX_INJECTED_BODY} bytes`,
      { status: 413 },
    );
  if (length !== null && length > MAX_INJECTED_BODY) throw tooLarge();
  const pieces: Uint8Array[] = [];
  let count = 0;
  for await (const piece of body) {
    count += piece.length;
    if (count > MAX_INJECTED_BODY) throw tooLarge();
    pieces.push(piece);
  }
  return concatBytes(pieces, count);
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("its body is not UTF-8");
  }
}

/** Lower case, decoded, without `[…]`: the name as the laxest server reads it. */
function fieldName(part: string): string {
  const raw = part.split("=", 1)[0]!.replaceAll("+", " ");
  let name = raw;
  try {
    name = decodeURIComponent(raw);
  } catch {
    // Malformed: a server takes it as it stands.
  }
  return name.toLowerCase().trim().replace(/\[.*$/, "");
}

function pointerTokens(pointer: string): string[] {
  return pointer.slice(1).split("/").map((token) =>
    token.replaceAll("~1", "/").replaceAll("~0", "~")
  );
}

type RawJson = (text: string) => unknown;
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Numbers keep their digits: an identifier of 19 of them must arrive as it was written. */
function parseExactly(text: string): unknown {
  const rawJson = (JSON as unknown as { rawJSON: RawJson }).rawJSON;
  const revive: Reviver = (_key, value, { source }) =>
    typeof value === "number" && source !== undefined ? rawJson(source) : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

/** Objects on the way that are missing are made; a list must have the item. */
function setAt(document: unknown, tokens: readonly string[], value: string): void {
  let at = document;
  for (const [index, token] of tokens.entries()) {
    const isLast = index === tokens.length - 1;
    const isOutside = Array.isArray(at) &&
      !(/^(0|[1-9]\d*)$/.test(token) && Number(token) < at.length);
    if (typeof at !== "object" || at === null || isOutside) {
      throw badRequest(`its body has no place for the credential at "/${tokens.join("/")}"`);
    }
    const holder = at as Record<string, unknown>;
    // Never by assignment: `__proto__` is a member like others in JSON.
    if (isLast) define(holder, token, value);
    else if (!Object.hasOwn(holder, token)) define(holder, token, {});
    at = Object.getOwnPropertyDescriptor(holder, token)!.value;
  }
}

function define(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
