// SPDX-License-Identifier: Apache-2.0

/**
 * Releases side by side: `<state>/releases/<digest>/` holds what `dist/runtime` holds, and its name is the SHA-256
 * of its files. What runs from one is what its name says, or it is not started.
 */
import { createHash } from "node:crypto";
import { diskError } from "../directories.ts";
import { SupervisorError } from "../errors.ts";

/** A build holds a score of files. */
const MAX_FILES = 200;
const CHUNK = 1 << 20;
/** Of the build itself, and what Deno makes in the directory that `up` brought; not of a release. */
const LEFT_OUT = /^\.stamp$|^none-/;

export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(CHUNK);
  while (true) {
    const count = await file.read(buffer);
    if (count === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
  }
}

async function namesIn(dir: string, leftOut: RegExp | null = null): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (leftOut?.test(entry.name)) continue;
    if (!entry.isFile) throw spoilt(dir, `"${entry.name}" is no file`);
    names.push(entry.name);
    if (names.length > MAX_FILES) throw spoilt(dir, "it holds too many files");
  }
  return names.sort();
}

/** Name and content of each file; modes and times are not in it. */
export async function releaseDigest(dir: string, leftOut: RegExp | null = null): Promise<string> {
  const hash = createHash("sha256");
  for (const name of await namesIn(dir, leftOut)) {
    hash.update(`${name}\0${await hashFile(`${dir}/${name}`)}\n`);
  }
  return hash.digest("hex");
}

/** The same of a build that is no release yet. */
export function buildDigest(dir: string): Promise<string> {
  return releaseDigest(dir, LEFT_OUT);
}

function spoilt(dir: string, why: string): SupervisorError {
  return new SupervisorError("bad-release", `Cannot use the release "${dir}": ${why}`, {
    hint: "remove that directory and install the release again",
  });
}

/** Nobody but root and we can have put it there, or can change it. */
async function requireOurs(dir: string, path: string, kind: "file" | "directory"): Promise<void> {
  const info = await Deno.lstat(path);
  if (kind === "file" ? !info.isFile : !info.isDirectory) {
    throw spoilt(dir, `"${path}" is no ${kind}`);
  }
  if (info.uid !== 0 && info.uid !== Deno.uid()) {
    throw spoilt(dir, `"${path}" belongs to somebody else`);
  }
  if (((info.mode ?? 0o777) & 0o022) !== 0) throw spoilt(dir, `others may write "${path}"`);
}

/**
 * @param root `<state>/releases`
 * @returns its directory
 * @throws {SupervisorError} `no-release` or `bad-release`
 */
export async function verifyRelease(root: string, digest: string): Promise<string> {
  const dir = `${root}/${digest}`;
  // A name from outside leads nowhere else.
  if (!isDigest(digest)) {
    throw new SupervisorError("bad-release", `Cannot use "${digest.slice(0, 80)}" as a release`, {
      hint: "a release is named by 64 hexadecimal digits; `bureau machine releases` lists them",
    });
  }
  try {
    await requireOurs(dir, root, "directory");
    await requireOurs(dir, dir, "directory");
    for (const name of await namesIn(dir)) await requireOurs(dir, `${dir}/${name}`, "file");
    const found = await releaseDigest(dir);
    if (found !== digest) throw spoilt(dir, `its files are those of ${found}`);
    return dir;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new SupervisorError("no-release", `Cannot find the release ${digest} in "${root}"`, {
      hint: "`bureau machine upgrade` without --release takes this checkout's build",
    });
  }
}

/**
 * Copies a build into the root, whole or not at all.
 *
 * @param from `dist/runtime`
 * @param known a directory whose `deno` is linked instead of copied where it is the same: 90 MB
 * @returns its digest
 */
export async function installRelease(root: string, from: string, known: string): Promise<string> {
  const work = `${root}/.new-${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(work, { mode: 0o755 });
    for (const name of await namesIn(from, LEFT_OUT)) {
      const mode = name === "deno" ? 0o755 : 0o644;
      if (name === "deno" && await same(`${from}/deno`, `${known}/deno`)) {
        await Deno.link(`${known}/deno`, `${work}/deno`);
      } else {
        await Deno.copyFile(`${from}/${name}`, `${work}/${name}`);
        await Deno.chmod(`${work}/${name}`, mode);
      }
    }
    await Deno.chmod(work, 0o755);
    const digest = await releaseDigest(work);
    // There already: it is verified before it is used, whoever put it there.
    if (await Deno.lstat(`${root}/${digest}`).then(() => true, () => false)) return digest;
    await Deno.rename(work, `${root}/${digest}`);
    return digest;
  } catch (thrown) {
    throw diskError(root, thrown);
  } finally {
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}

async function same(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => Deno.stat(path).catch(() => null)));
  if (!one || !other || one.size !== other.size) return false;
  return await hashFile(a) === await hashFile(b);
}

/** Removes what is not in `keep`; a directory half removed is no release any more. */
export async function removeReleases(root: string, digests: Iterable<string>): Promise<void> {
  for (const digest of digests) {
    if (isDigest(digest)) {
      await Deno.remove(`${root}/${digest}`, { recursive: true }).catch(() => {});
    }
  }
}
