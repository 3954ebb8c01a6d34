// SPDX-License-Identifier: Apache-2.0

/**
 * The path an agent asks for, brought to one form before anything is decided or sent (W-17). What two
 * servers could read differently (an encoded slash beside dots, `..;x`, a double encoding) is refused
 * rather than guessed.
 */
import { ProxyError } from "./errors.ts";

/** Longest accepted path and query together. */
export const MAX_TARGET_BYTES = 16 * 1024;

/** What nearly every request looks like, and what needs no work. */
const PLAIN = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+\/?$/;
const ALLOWED = /^[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*$/;
const QUERY = /^[\x21-\x7e]*$/;

function refused(why: string): ProxyError {
  return new ProxyError("bad-path", `Cannot use the path: ${why}`, { status: 400 });
}

/**
 * @param path as received, starting with `/` (an empty one means `/`)
 * @returns the same path without dot segments and double slashes, unreserved characters decoded,
 * other percent-encodings in upper case; `%2F` stays `%2F`
 * @throws {ProxyError} `bad-path` when it is malformed or could leave its root
 */
export function normalisePath(path: string): string {
  if (path === "") return "/";
  if (path.length > MAX_TARGET_BYTES) throw refused("it is too long");
  if (PLAIN.test(path)) return path;
  if (!path.startsWith("/")) throw refused("it does not start with a slash");
  if (!ALLOWED.test(path)) throw refused("it has a character that must be percent-encoded");
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) throw refused("it has a malformed percent-encoding");
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (encoded) => {
    const character = String.fromCharCode(parseInt(encoded.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
  const segments: string[] = [];
  const raw = decoded.slice(1).split("/");
  for (const [index, segment] of raw.entries()) {
    const last = index === raw.length - 1;
    if (segment === "" && !last) continue;
    if (segment === "." || segment === "..") {
      if (segment === ".." && segments.pop() === undefined) throw refused("it leaves its root");
      // `/a/..` and `/a/.` name a directory.
      if (last) segments.push("");
      continue;
    }
    checkSegment(segment);
    segments.push(segment);
  }
  return "/" + segments.join("/");
}

/** Refuses a segment that a server which decodes more, or splits at `;` or `\`, would take for dots. */
export function checkSegment(segment: string): void {
  let text = segment;
  for (let round = 0; round < 4; round++) {
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    if (/[\x00-\x1f\x7f]/.test(text)) throw refused("it encodes a control character");
    for (const part of text.split(/[/\\]/)) {
      const name = part.split(";", 1)[0]!;
      if (name === "." || name === "..") throw refused("it hides a dot segment");
    }
    const next = text.replace(
      /%([0-9A-Fa-f]{2})/g,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
    if (next === text) return;
    text = next;
  }
  throw refused("it is percent-encoded again and again");
}

/** Path and raw query of a request URL as `Deno.serve` gives it, where nothing was resolved yet. */
export function splitUrl(url: string): { path: string; query: string } {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const rest = start === -1 ? "/" : url.slice(start);
  const hash = rest.indexOf("#");
  const target = hash === -1 ? rest : rest.slice(0, hash);
  const mark = target.indexOf("?");
  if (target.length > MAX_TARGET_BYTES) throw refused("it is too long");
  if (mark === -1) return { path: target, query: "" };
  const query = target.slice(mark);
  if (!QUERY.test(query)) throw refused("its query has a character that must be percent-encoded");
  return { path: target.slice(0, mark), query };
}
