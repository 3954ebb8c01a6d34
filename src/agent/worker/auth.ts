// SPDX-License-Identifier: Apache-2.0

/** How parent and worker know each other: by the token that the spec brought, which neither ever sends to a stranger. */

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
