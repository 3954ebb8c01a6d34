// SPDX-License-Identifier: Apache-2.0

/** How parent and worker know each other: by the token that the spec brought, which neither ever sends to a stranger. */

/** In time that does not tell how much of it is right. */
export function sameText(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => new TextEncoder().encode(text)) as [
    Uint8Array,
    Uint8Array,
  ];
  let difference = a.length ^ b.length;
  for (let at = 0; at < b.length; at++) difference |= (a[at] ?? 0) ^ b[at]!;
  return difference === 0;
}

export function bearerOf(request: Request): string {
  return /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

/** That whoever answers has the token, without its being said. */
export async function proofOf(token: string, challenge: string): Promise<string> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(token),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const text = encoder.encode(`bureau-worker\0${challenge}`);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, text)).toHex();
}
