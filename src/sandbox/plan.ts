// SPDX-License-Identifier: Apache-2.0

/**
 * From a resolved template to an ordered, checked list of mounts. Pure but for the `lstat` it is given:
 * what may be bound is decided here, and nothing later adds to it.
 */
import type { ResolvedSpec } from "../lib/template/mod.ts";
import { SandboxError } from "./errors.ts";

export interface BindRoot {
  readonly path: string;
  readonly mode: "ro" | "rw";
}

export type PlannedMount =
  | {
    readonly kind: "bind";
    readonly source: string;
    readonly dest: string;
    readonly mode: "ro" | "rw";
  }
  | { readonly kind: "tmpfs"; readonly dest: string; readonly size: number }
  | { readonly kind: "dir"; readonly dest: string };

export interface SandboxPlan {
  /** Parents before children. */
  readonly mounts: readonly PlannedMount[];
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** What the planner needs to know of a path; null when nothing is there. Never follows a link. */
export type Lstat = (path: string) => Promise<
  { readonly isDirectory: boolean; readonly isFile: boolean; readonly isSymlink: boolean } | null
>;

/** Destinations that the sandbox makes itself; a template can neither replace nor look below them. */
const RESERVED = [
  "/proc",
  "/dev",
  "/sys",
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib64",
  "/etc",
  "/run",
  "/cell",
];
const MAX_PATH = 4096;
const MAX_WORD = 128 * 1024;
const DEFAULT_TMPFS = 64 * 1024 * 1024;
const MAX_TMPFS = 4 * 1024 * 1024 * 1024;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** They would change what the in-sandbox loader or shell runs before the agent does. */
const REFUSED_VARIABLE = /^(LD_|BASH_ENV$|ENV$|GCONV_PATH$)/;

/**
 * @param roots host directories below which the machine's policy allows binds
 * @throws {SandboxError} naming the mount and the rule
 */
export async function planSandbox(
  spec: ResolvedSpec,
  roots: readonly BindRoot[],
  lstat: Lstat,
): Promise<SandboxPlan> {
  if (spec.isolation !== "standard") {
    throw new SandboxError("passthrough-refused", `Cannot plan isolation "${spec.isolation}"`);
  }
  const mounts: PlannedMount[] = [];
  for (const mount of spec.filesystem) {
    const dest = checkDestination(mount.dest);
    if (mount.type === "tmpfs") {
      mounts.push({ kind: "tmpfs", dest, size: tmpfsSize(mount.options, dest) });
      continue;
    }
    const mode = mount.mode ?? "ro";
    const source = checkPath(mount.source ?? "", `the source of ${dest}`);
    if (!await isPinned(source, mode, roots, lstat, mount.optional === true)) continue;
    mounts.push({ kind: "bind", source, dest, mode });
  }
  for (const dir of spec.create_dirs) {
    const dest = checkDestination(dir);
    if (!mounts.some((mount) => mount.dest === dest)) mounts.push({ kind: "dir", dest });
  }
  return {
    mounts: orderMounts(mounts),
    environment: planEnvironment(spec),
    command: spec.command.map((word) => checkWord(word, "the command")),
  };
}

function checkPath(path: string, what: string): string {
  const bad = path.length > MAX_PATH
    ? "it is longer than 4096 bytes"
    // deno-lint-ignore no-control-regex -- control characters are what is refused
    : /[\x00-\x1f\x7f]/.test(path) || !path.isWellFormed()
    ? "it holds control characters"
    : !path.startsWith("/")
    ? "it is not absolute"
    : path.split("/").some((part) => part === ".." || part === ".")
    ? "it holds . or .."
    : null;
  if (bad !== null) throw new SandboxError("bad-path", `Cannot use ${what}: ${bad}`);
  return path.replace(/\/+/g, "/").replace(/(?<=.)\/$/, "");
}

function checkDestination(dest: string): string {
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

function checkWord(word: string, what: string): string {
  if (word.includes("\0") || word.length > MAX_WORD || !word.isWellFormed()) {
    throw new SandboxError("bad-word", `Cannot use ${what}: a word holds a NUL or is too long`);
  }
  return word;
}

function tmpfsSize(options: string | undefined, dest: string): number {
  if (options === undefined || options === "") return DEFAULT_TMPFS;
  const size = Number(/^size=(\d{1,12})$/.exec(options)?.[1] ?? NaN);
  if (!(size > 0 && size <= MAX_TMPFS)) {
    throw new SandboxError(
      "bad-option",
      `Cannot mount "${dest}": options must be size=<bytes>, at most 4 GiB`,
    );
  }
  return size;
}

/**
 * Whether `source` lies below an allowed root and is, from the root down, what its name says: a link
 * that somebody planted on the way would bind another place.
 *
 * @returns false for a missing source that is optional
 */
async function isPinned(
  source: string,
  mode: "ro" | "rw",
  roots: readonly BindRoot[],
  lstat: Lstat,
  optional: boolean,
): Promise<boolean> {
  const root = roots.find((root) =>
    (source === root.path || source.startsWith(`${root.path}/`)) &&
    (mode === "ro" || root.mode === "rw")
  );
  if (root === undefined) {
    throw new SandboxError(
      "outside-bind-roots",
      `Cannot bind "${source}" ${mode}: it is in none of this machine's bind roots`,
      { hint: "the operator lists them in the launcher's policy file (bind_roots)", status: 403 },
    );
  }
  let at = root.path;
  const rest = source.slice(root.path.length).split("/").filter(Boolean);
  for (const part of ["", ...rest]) {
    if (part !== "") at = `${at}/${part}`;
    const info = await lstat(at);
    if (info === null) {
      if (optional) return false;
      throw new SandboxError("missing-source", `Cannot bind "${source}": "${at}" does not exist`);
    }
    const last = at === source;
    if (info.isSymlink || !(info.isDirectory || (last && info.isFile))) {
      throw new SandboxError(
        "bad-source",
        `Cannot bind "${source}": "${at}" is ${
          info.isSymlink ? "a symbolic link" : "no directory or file"
        }`,
      );
    }
  }
  return true;
}

/** One canonical order whatever the template's: by depth, then by name. */
function orderMounts(mounts: readonly PlannedMount[]): PlannedMount[] {
  const depth = (dest: string) => dest.split("/").length;
  const ordered = mounts.toSorted((a, b) =>
    depth(a.dest) - depth(b.dest) || (a.dest < b.dest ? -1 : a.dest > b.dest ? 1 : 0)
  );
  for (const [index, mount] of ordered.entries()) {
    const above = ordered.slice(0, index).find((other) =>
      mount.dest.startsWith(`${other.dest}/`) || mount.dest === other.dest
    );
    if (above === undefined) continue;
    if (above.dest === mount.dest) {
      throw new SandboxError("duplicate-destination", `Cannot mount "${mount.dest}" twice`);
    }
    // bwrap before 0.12 follows a link that the agent planted there (CVE-2026-87766).
    if (above.kind === "bind" && (above.mode === "rw" || mount.kind !== "bind")) {
      throw new SandboxError(
        "beneath-bind",
        `Cannot mount "${mount.dest}": it lies beneath "${above.dest}", which is bound from the host`,
        { hint: "mount it beside, not beneath" },
      );
    }
  }
  return ordered;
}

function planEnvironment(spec: ResolvedSpec): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(spec.environment_variables)) {
    if (!VARIABLE.test(name) || REFUSED_VARIABLE.test(name)) {
      throw new SandboxError(
        "bad-variable",
        `Cannot set "${name.slice(0, 80)}": not an allowed variable name`,
      );
    }
    environment[name] = checkWord(value, `the value of ${name}`);
  }
  for (const [name, segments] of Object.entries(spec.prepend_variables)) {
    if (!VARIABLE.test(name) || REFUSED_VARIABLE.test(name)) {
      throw new SandboxError(
        "bad-variable",
        `Cannot set "${name.slice(0, 80)}": not an allowed variable name`,
      );
    }
    environment[name] = [...segments, environment[name] ?? ""].filter(Boolean).join(":");
  }
  environment["TERM"] ??= "xterm-256color";
  return environment;
}
