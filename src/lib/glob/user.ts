// SPDX-License-Identifier: Apache-2.0
import { compileGlob } from "./glob.ts";

/**
 * Matches `localpattern:serverpattern` against a user id; a leading `@` on either is optional. Both are
 * split at their last colon, and a pattern without one matches nothing: a pattern must name its server,
 * or `agent/**` would also trust every other homeserver's agents.
 */
export function matchUserPattern(pattern: string, userId: string): boolean {
  return compileUserPattern(pattern)?.(userId) ?? false;
}

/** True when the pattern is well-formed. */
export function isUserPattern(pattern: string): boolean {
  return compileUserPattern(pattern) !== null;
}

/** Compiles once for many matches. @returns null when the pattern is malformed */
export function compileUserPattern(pattern: string): ((userId: string) => boolean) | null {
  const parts = split(pattern);
  if (parts === null) return null;
  const local = compileGlob(parts[0]);
  const server = compileGlob(parts[1]);
  if (local === null || server === null) return null;
  return (userId) => {
    const id = split(userId);
    return id !== null && local(id[0]) && server(id[1]);
  };
}

function split(text: string): [string, string] | null {
  const bare = text.startsWith("@") ? text.slice(1) : text;
  const colon = bare.lastIndexOf(":");
  // An empty half is malformed in a pattern and no user id has one.
  if (colon <= 0 || colon === bare.length - 1) return null;
  return [bare.slice(0, colon), bare.slice(colon + 1)];
}
