// SPDX-License-Identifier: Apache-2.0

/** What may be bound: below a root that the operator named, and from the root down what its name says. */
import { SandboxError } from "./errors.ts";

export interface BindRoot {
  readonly path: string;
  readonly mode: "ro" | "rw";
}

export interface PathInfo {
  readonly isDirectory: boolean;
  readonly isFile: boolean;
  readonly isSymlink: boolean;
  readonly dev?: number;
  readonly ino?: number | null;
}

/** What the planner needs to know of a path; null when nothing is there. Never follows a link. */
export type Lstat = (path: string) => Promise<PathInfo | null>;

/** Each path is asked for once in one plan. */
export function remembered(lstat: Lstat): Lstat {
  const known = new Map<string, Promise<PathInfo | null>>();
  return (path) => {
    const found = known.get(path) ?? lstat(path);
    known.set(path, found);
    return found;
  };
}

/**
 * Which file it is, whatever its name: what is bound later must be this one. Undefined where the file
 * system's numbers are larger than this program can hold exactly.
 */
export function identityOf(info: PathInfo): string | undefined {
  const { dev, ino } = info;
  return Number.isSafeInteger(dev) && Number.isSafeInteger(ino) ? `${dev}:${ino}` : undefined;
}

/**
 * Looks at every part of `source`: a link that somebody planted on the way would bind another place.
 *
 * @returns null for a missing source that is optional
 * @throws {SandboxError} `outside-bind-roots`, `missing-source`, `bad-source`
 */
export async function pinSource(
  source: string,
  mode: "ro" | "rw",
  roots: readonly BindRoot[],
  lstat: Lstat,
  optional: boolean,
): Promise<PathInfo | null> {
  const root = roots.find((root) =>
    (source === root.path || source.startsWith(root.path === "/" ? "/" : `${root.path}/`)) &&
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
  let info: PathInfo | null = null;
  const rest = source.slice(root.path.length).split("/").filter(Boolean);
  for (const part of ["", ...rest]) {
    if (part !== "") at = at === "/" ? `/${part}` : `${at}/${part}`;
    info = await lstat(at);
    if (info === null) {
      if (optional) return null;
      throw new SandboxError("missing-source", `Cannot bind "${source}": "${at}" does not exist`);
    }
    if (info.isSymlink || !(info.isDirectory || (at === source && info.isFile))) {
      throw new SandboxError(
        "bad-source",
        `Cannot bind "${source}": "${at}" is ${
          info.isSymlink ? "a symbolic link" : "no directory or file"
        }`,
      );
    }
  }
  return info;
}
