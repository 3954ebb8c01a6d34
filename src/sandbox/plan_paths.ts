// SPDX-License-Identifier: Apache-2.0

/** Which paths, words and names may reach bwrap at all. */
import { SandboxError } from "./errors.ts";

/** Destinations that the sandbox makes itself; a template can neither replace nor look below them. */
const RESERVED = [
  "/proc",
  "/dev",
  "/sys",
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/etc",
  "/run",
  "/cell",
  "/source",
  "/oldroot",
  "/newroot",
];
/** PATH_MAX counts the closing NUL. */
const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;
const MAX_WORD = 128 * 1024;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** They would change what the in-sandbox loader or shell runs before the agent does. */
const REFUSED_VARIABLE = /^(LD_|BASH_ENV$|ENV$|GCONV_PATH$)/;

const bytes = (text: string) =>
  // A character of UTF-16 is three bytes at most: short texts need no encoding to be known short.
  text.length * 3 <= MAX_NAME_BYTES ? text.length : new TextEncoder().encode(text).length;

/** @returns the path without double or last slashes @throws {SandboxError} `bad-path` */
export function checkPath(path: string, what: string): string {
  const bad = pathProblem(path);
  if (bad !== null) throw new SandboxError("bad-path", `Cannot use ${what}: ${bad}`);
  return path.replace(/\/+/g, "/").replace(/(?<=.)\/$/, "");
}

function pathProblem(path: string): string | null {
  if (path.length > MAX_PATH_BYTES) return "it is longer than 4095 bytes";
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (/[\x00-\x1f\x7f]/.test(path) || !path.isWellFormed()) return "it holds control characters";
  if (bytes(path) > MAX_PATH_BYTES) return "it is longer than 4095 bytes";
  if (!path.startsWith("/")) return "it is not absolute";
  const parts = path.split("/");
  if (parts.some((part) => part === ".." || part === ".")) return "it holds . or ..";
  if (parts.some((part) => bytes(part) > MAX_NAME_BYTES)) return "a name in it is over 255 bytes";
  return null;
}

/** @throws {SandboxError} `bad-path`, `reserved-destination` */
export function checkDestination(dest: string): string {
  const path = checkPath(dest, `the destination ${JSON.stringify(dest.slice(0, 80))}`);
  const taken = RESERVED.find((name) => path === name || path.startsWith(`${name}/`));
  if (path === "/" || taken !== undefined) {
    throw new SandboxError(
      "reserved-destination",
      `Cannot mount "${path}": ${taken ?? "/"} belongs to the sandbox`,
      { hint: "choose a destination such as /workspace, /opt/… or /data" },
    );
  }
  return path;
}

/** @throws {SandboxError} `bad-word` */
export function checkWord(word: string, what: string): string {
  if (word.includes("\0") || word.length > MAX_WORD || !word.isWellFormed()) {
    throw new SandboxError("bad-word", `Cannot use ${what}: a word holds a NUL or is too long`);
  }
  return word;
}

/** @throws {SandboxError} `bad-word`: the shell's `exec` would read such a first word as an option */
export function checkCommand(command: readonly string[]): string[] {
  const words = command.map((word) => checkWord(word, "the command"));
  if (words[0] === undefined || words[0] === "" || words[0].startsWith("-")) {
    throw new SandboxError("bad-word", "Cannot use the command: it begins with no program's name");
  }
  return words;
}

/** @throws {SandboxError} `bad-variable` */
export function checkVariable(name: string): string {
  if (!VARIABLE.test(name) || REFUSED_VARIABLE.test(name)) {
    throw new SandboxError(
      "bad-variable",
      `Cannot set ${JSON.stringify(name.slice(0, 80))}: not an allowed variable name`,
    );
  }
  return name;
}
