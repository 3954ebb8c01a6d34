// SPDX-License-Identifier: Apache-2.0

/**
 * What the planner asks of the machine. The launcher's own permissions end at its workspaces and agents:
 * bind roots elsewhere, devices and sysroots are looked at by `stat` in a throw-away cell that sees just them.
 */
import { spawn } from "../lib/process/mod.ts";
import {
  type DeviceNode,
  lookCellArguments,
  type Lstat,
  type MachineFacts,
  type PathInfo,
  seccompHere,
} from "../sandbox/mod.ts";
import type { LauncherPolicy } from "./api.ts";
import { LauncherError } from "./errors.ts";

const BWRAP = "/usr/bin/bwrap";
const DEADLINE_MS = 10_000;
const MAX_TEXT = 1024 * 1024;
/** Mode bits of stat(2): what kind of file it is. */
const KIND = 0xf000;
const DIRECTORY = 0x4000;
const FILE = 0x8000;
const LINK = 0xa000;
const CHARACTER = 0x2000;
const BLOCK = 0x6000;
/** `mode device inode name`, each ended by NUL; %n is last, for it may hold anything else. */
const STAT = "xargs -0 -r stat --printf '%f %d %i %n\\0' -- 2>/dev/null; exit 0";

interface Seen extends PathInfo {
  readonly mode: number;
  readonly path: string;
}

/** One request's view: nothing is remembered from one to the next. */
export class Look {
  readonly #roots: readonly string[];
  readonly #known = new Map<string, PathInfo | null>();

  constructor(policy: Pick<LauncherPolicy, "bind_roots">) {
    this.#roots = policy.bind_roots.map(({ path }) => path);
  }

  readonly lstat: Lstat = async (path) => {
    if (this.#known.has(path)) return this.#known.get(path)!;
    if (!mayRead(path)) {
      await this.prefetch([path]);
      return this.#known.get(path) ?? null;
    }
    try {
      return await Deno.lstat(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound || thrown instanceof Deno.errors.NotADirectory) {
        return null;
      }
      throw new LauncherError("unreadable-source", `Cannot look at "${path}"`, {
        cause: thrown,
        status: 403,
        hint: "give the launcher's user the right to search the directories above it",
      });
    }
  };

  readonly prefetch = async (paths: readonly string[]): Promise<void> => {
    const wanted = [...new Set(paths)].filter((path) => !this.#known.has(path) && !mayRead(path));
    if (wanted.length === 0) return;
    // The directory above a root: the root itself must be no link either.
    const dirs = this.#roots.filter((root) => wanted.some((path) => isWithin(path, root)))
      .map((root) => root.slice(0, root.lastIndexOf("/")) || "/");
    for (const path of wanted) this.#known.set(path, null);
    for (const seen of await statInCell(dirs, wanted)) this.#known.set(seen.path, seen);
  };

  readonly readText = async (path: string): Promise<string | null> => {
    const text = await inCell([path], `head -c ${MAX_TEXT + 1} </host"$1"`, [path], "");
    if (text.length <= MAX_TEXT) return text;
    throw new LauncherError("too-long", `Cannot read "${path}": it is longer than 1 MiB`, {
      status: 422,
    });
  };
}

/** Which of these are there, links among them. */
export async function existing(paths: readonly string[]): Promise<string[]> {
  const own = paths.filter(mayRead);
  const others = paths.filter((path) => !own.includes(path));
  const there = await Promise.all(
    own.map((path) => Deno.lstat(path).then(() => [path], () => [])),
  );
  if (others.length === 0) return there.flat();
  const dirs = others.map((path) => path.slice(0, path.lastIndexOf("/")) || "/");
  return [...there.flat(), ...(await statInCell(dirs, others)).map(({ path }) => path)];
}

/** @param principal its full localpart, as the policy's exceptions name it */
export function machineFacts(
  look: Look,
  policy: Pick<LauncherPolicy, "passthrough"> & Partial<LauncherPolicy>,
  principal: string,
  own: Pick<MachineFacts, "runtime" | "caBundle" | "services"> = {},
): MachineFacts {
  return {
    allowedDevices: policy.devices ?? [],
    seccomp: policy.seccomp ?? [],
    passthrough: policy.passthrough.includes(principal),
    prefetch: look.prefetch,
    readText: look.readText,
    findDevices,
    list,
    ...own,
  };
}

/** @param patterns paths below /dev in which only `*` is special */
async function findDevices(patterns: readonly string[]): Promise<DeviceNode[]> {
  const found = await inCell(
    ["/dev"],
    `cd /host && for pattern; do printf '/host%s\\0' $pattern; done | ${STAT}`,
    patterns.map((pattern) => pattern),
    "",
    "glob",
  );
  return parseStat(found).map(({ path, mode, dev, ino }) => ({
    path,
    kind: (mode & KIND) === CHARACTER
      ? "character"
      : (mode & KIND) === BLOCK
      ? "block"
      : (mode & KIND) === LINK
      ? "link"
      : "other",
    identity: `${dev}:${ino}`,
  }));
}

/** Entries of a host directory; such as no path may hold are left out. */
async function list(dir: string): Promise<string[]> {
  const script = `[ -d /host"$1" ] || exit 0
    find -H /host"$1" -mindepth 1 -maxdepth 1 -printf '%f\\0' 2>/dev/null; exit 0`;
  const text = await inCell(["/"], script, [dir], "");
  // deno-lint-ignore no-control-regex -- control characters are what is left out
  return text.split("\0").filter((name) => name !== "" && !/[\x00-\x1f\x7f\ufffd]/.test(name));
}

async function statInCell(dirs: readonly string[], paths: readonly string[]): Promise<Seen[]> {
  const input = paths.map((path) => `/host${path}\0`).join("");
  return parseStat(await inCell(dirs, STAT, [], input));
}

function parseStat(text: string): Seen[] {
  return text.split("\0").flatMap((line) => {
    const [, mode, dev, ino, name] = /^([0-9a-f]+) (\d+) (\d+) \/host(.*)$/s.exec(line) ?? [];
    if (name === undefined) return [];
    const bits = Number.parseInt(mode!, 16);
    return [{
      path: name.replace(/^\/+/, "/"),
      mode: bits,
      isDirectory: (bits & KIND) === DIRECTORY,
      isFile: (bits & KIND) === FILE,
      isSymlink: (bits & KIND) === LINK,
      dev: Number(dev),
      ino: Number(ino),
    }];
  });
}

/**
 * @param dirs host directories (or files), seen below /host
 * @throws {LauncherError} `look-failed`
 */
async function inCell(
  dirs: readonly string[],
  script: string,
  args: readonly string[],
  input: string,
  words: "literal" | "glob" = "literal",
): Promise<string> {
  const shell = words === "literal" ? ["-fc"] : ["-c"];
  const own = [...lookCellArguments(dirs), "--seccomp", "3"];
  const cell = spawn([BWRAP, ...own, "--", "/bin/sh", ...shell, script, "sh", ...args], {
    env: { PATH: "/usr/bin:/bin" },
    data: [seccompHere("networkless")],
    stdin: new TextEncoder().encode(input),
    keep: true,
  });
  const timer = setTimeout(() => cell.kill(), DEADLINE_MS);
  const { success, stdout, stderr } = await cell.output.finally(() => clearTimeout(timer));
  if (success) return new TextDecoder().decode(stdout);
  throw new LauncherError(
    "look-failed",
    `Cannot look at ${dirs.map((dir) => `"${dir}"`).join(", ")}: ${
      new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "no answer"
    }`,
    { status: 503, hint: "`deno task up` runs the preflight, which says what this machine lacks" },
  );
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root === "/" ? "/" : `${root}/`);
}

/** Whether our own permissions reach it; asking is not using. */
function mayRead(path: string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}
