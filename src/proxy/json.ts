// SPDX-License-Identifier: Apache-2.0

/** Reads small bodies whole, within limits of size and time. */
import { badRequest, ProxyError } from "./errors.ts";

/** A caller may take this long over a body that has to be read whole: 30 s. */
const BODY_DEADLINE_MS = 30_000;

/** @throws {ProxyError} 400 when it is no JSON object, 413 when too large, 408 when too slow */
export async function readJsonObject(
  request: Request,
  limit: number,
): Promise<Record<string, unknown>> {
  const text = await readText(request.body, limit);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw badRequest("its body is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw badRequest("its body is not a JSON object");
  }
  return json as Record<string, unknown>;
}

/** Whole text of a body. @throws {ProxyError} when it is too large or too slow */
export async function readText(
  body: ReadableStream<Uint8Array> | Uint8Array | null,
  limit: number,
): Promise<string> {
  if (body === null) return "";
  if (body instanceof Uint8Array) return decode(body);
  const reader = body.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    reader.cancel().catch(() => {});
  }, BODY_DEADLINE_MS);
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (late) throw new ProxyError("too-slow", "Cannot read the body: too slow", { status: 408 });
      if (done) break;
      length += value.length;
      if (length > limit) {
        throw new ProxyError("too-large", `Cannot read the body: over ${limit} bytes`, {
          status: 413,
        });
      }
      pieces.push(value);
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return decode(whole);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("its body is not UTF-8");
  }
}
