// SPDX-License-Identifier: Apache-2.0

/**
 * Programs by other people from npm, pinned by `packages/<set>/package-lock.json`. They are no part of
 * Bureau's own lock file: who starts Bureau does not fetch them.
 */
import { run } from "../e2e/harness.ts";

const HERE = import.meta.dirname!;

export interface Packages extends AsyncDisposable {
  /** With `node_modules` and `programs`, readable by everybody. */
  readonly dir: string;
}

/** The sandbox has the host's /usr: what is not there, it has not. */
export async function programs(...names: string[]): Promise<string | null> {
  for (const name of names) {
    const found = await Deno.stat(`/usr/bin/${name}`).catch(() => null);
    if (found === null) return `there is no /usr/bin/${name} here (.ci/run names its package)`;
  }
  return null;
}

function cacheDir(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/bureau-tests`;
}

async function digest(set: string): Promise<string> {
  const lock = await Deno.readFile(`${HERE}/packages/${set}/package-lock.json`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", lock)).toHex().slice(0, 12);
}

/** @returns a copy that a sandbox may be given, or why there is none */
export async function packages(
  set: "clients" | "mcp" | "verdaccio",
): Promise<Packages | { readonly reason: string }> {
  const missing = await programs("node", "npm");
  if (missing !== null) return { reason: missing };
  const cached = `${cacheDir()}/npm-${set}-${await digest(set)}`;
  await Deno.mkdir(cacheDir(), { recursive: true });
  // Test files run at once, and one of them installs.
  using lock = await Deno.open(`${cached}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await Deno.stat(`${cached}/installed`).catch(() => null) === null) {
    const why = await install(set, cached);
    if (why !== null) return { reason: why };
  }
  // Where the cache lies nobody else may pass; links cost no copies.
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-n" });
  await Deno.chmod(dir, 0o755);
  const linked = await run("cp", ["-al", `${cached}/node_modules`, dir]);
  if (linked.code !== 0) await run("cp", ["-a", `${cached}/node_modules`, dir]);
  await run("cp", ["-r", `${HERE}/programs`, `${dir}/programs`]);
  await run("chmod", ["-R", "a+rX", dir]);
  return { dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

async function install(set: string, cached: string): Promise<string | null> {
  await Deno.remove(cached, { recursive: true }).catch(() => {});
  await Deno.mkdir(cached, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) {
    await Deno.copyFile(`${HERE}/packages/${set}/${name}`, `${cached}/${name}`);
  }
  const npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { code, stderr } = await run("npm", npm, cached);
  if (code !== 0) return `npm cannot install ${set}: ${stderr.trim().slice(-200)}`;
  await Deno.writeTextFile(`${cached}/installed`, "");
  return null;
}
