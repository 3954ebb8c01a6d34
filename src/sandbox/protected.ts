// SPDX-License-Identifier: Apache-2.0

/**
 * Names in a writable workspace that programs of the *host* obey when somebody opens it there: git runs
 * hooks and filters, direnv runs `.envrc`, editors run tasks. An agent that could write them would run
 * outside its sandbox.
 */
import { SandboxError } from "./errors.ts";
import type { PlannedBind } from "./plan_parts.ts";
import { checkPath } from "./plan_paths.ts";
import { identityOf, type Lstat } from "./plan_sources.ts";

/** Relative to the root of each writable bind. A `.git` that is a file (git's pointer) is protected itself. */
export const PROTECTED_PATHS: readonly string[] = [
  // git: what it runs and what says where it looks for that.
  ".git/hooks",
  ".git/config",
  ".git/config.worktree",
  ".git/commondir",
  ".git/info/attributes",
  ".git/modules",
  // Run by a shell that enters the directory.
  ".envrc",
  ".mise.toml",
  "mise.toml",
  // Editors.
  ".vscode",
  ".idea",
  ".zed",
  ".nvim.lua",
  ".nvimrc",
  ".exrc",
  ".vimrc",
  ".dir-locals.el",
  ".devcontainer",
  ".devcontainer.json",
  // Agents: their hooks, permissions and tool servers.
  ".claude",
  ".mcp.json",
  ".cursor",
  ".codex",
  ".gemini",
  ".continue",
  ".windsurf",
];

export interface Protection {
  /** Parents before children: ancestors as mounts of their own, the names themselves read-only. */
  readonly mounts: readonly PlannedBind[];
  /** Host paths of protected names that are not there: nothing can be mounted on them. */
  readonly watched: readonly string[];
}

/** @returns all protected names in parts @throws {SandboxError} `bad-path` for one that leads elsewhere */
export function protectedNames(more: readonly string[]): string[][] {
  return [...PROTECTED_PATHS, ...more].map((name) => {
    const path = checkPath(`/${name}`, `the protected path ${JSON.stringify(name.slice(0, 80))}`);
    if (path !== "/") return path.slice(1).split("/");
    throw new SandboxError("bad-path", "Cannot protect a path without a name");
  });
}

/**
 * @param names all that are protected, in parts
 * @throws {SandboxError} `protected-source`, `protected-link`
 */
export async function planProtection(
  bind: PlannedBind,
  names: readonly (readonly string[])[],
  lstat: Lstat,
): Promise<Protection> {
  const mounts = new Map<string, PlannedBind>();
  const watched = new Set<string>();
  const add = (path: string, kind: "pinned" | "protected", identity: string | undefined) =>
    mounts.set(path, {
      kind: "bind",
      source: `${bind.source}/${path}`,
      dest: `${bind.dest}/${path}`,
      mode: kind === "pinned" ? "rw" : "ro",
      why: kind,
      ...(identity === undefined ? {} : { identity }),
    });
  for (const parts of relativeNames(bind.source, names)) {
    const pins: [string, string | undefined][] = [];
    for (const at of parts.keys()) {
      const path = parts.slice(0, at + 1).join("/");
      if (mounts.get(path)?.why === "protected") break;
      const info = await lstat(`${bind.source}/${path}`);
      if (info === null) {
        watched.add(`${bind.source}/${path}`);
        break;
      }
      if (!info.isDirectory && !info.isFile) throw strange(`${bind.source}/${path}`);
      if (at < parts.length - 1 && info.isDirectory) {
        pins.push([path, identityOf(info)]);
        continue;
      }
      for (const [pin, identity] of pins) if (!mounts.has(pin)) add(pin, "pinned", identity);
      add(path, "protected", identityOf(info));
      break;
    }
  }
  return { mounts: [...mounts.values()], watched: [...watched] };
}

function strange(path: string): SandboxError {
  return new SandboxError(
    "protected-link",
    `Cannot protect "${path}": it is no directory or file of its own`,
    { hint: "look who made it; put a file or directory in its place, or remove it" },
  );
}

/**
 * The names as seen from `source`, shorter ones first: of a bind of `…/.git`, `hooks` is protected.
 *
 * @throws {SandboxError} `protected-source` when the source is such a name itself, or lies in git's
 */
function relativeNames(source: string, names: readonly (readonly string[])[]): string[][] {
  const found = new Map<string, string[]>();
  const above = source.split("/").filter(Boolean);
  for (const parts of names) {
    found.set(parts.join("/"), [...parts]);
    for (let start = above.indexOf(parts[0]!); start >= 0;) {
      const tail = above.slice(start);
      const same = parts.every((part, at) => at >= tail.length || part === tail[at]);
      if (same && tail.length < parts.length) {
        found.set(parts.slice(tail.length).join("/"), parts.slice(tail.length));
      } else if (same && (tail.length === parts.length || parts[0] === ".git")) {
        throw new SandboxError(
          "protected-source",
          `Cannot bind "${source}" writable: "${parts.join("/")}" is protected`,
          { hint: "bind it read-only, or bind the workspace that holds it" },
        );
      }
      start = above.indexOf(parts[0]!, start + 1);
    }
  }
  return [...found.values()].toSorted((a, b) => a.length - b.length);
}
