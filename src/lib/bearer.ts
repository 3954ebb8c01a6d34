// SPDX-License-Identifier: Apache-2.0

/** Bearer tokens (RFC 6750): as they come, and whether they are the right ones. */
import { timingSafeEqual } from "node:crypto";

/** Whether a token is the one that it must be, which no empty one is, in time that does not tell how much of it is right. */
export function sameSecret(given: string, expected: string): boolean {
  const encoder = new TextEncoder();
  const [a, b] = [encoder.encode(given), encoder.encode(expected)];
  return a.length > 0 && a.length === b.length && timingSafeEqual(a, b);
}

/** Empty when there is none, or one that can't be right. */
export function bearerOf(request: Request): string {
  return /^Bearer +(\S{1,4096})$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}
