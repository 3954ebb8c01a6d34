// SPDX-License-Identifier: Apache-2.0

/** Where a sandbox's programs come from. Always read-only. */
import type { Sysroot } from "../lib/schema/events.ts";
import { SandboxError } from "./errors.ts";
import type { PlannedBind, PlannedSysroot } from "./plan_parts.ts";
import { checkPath } from "./plan_paths.ts";
import { type BindRoot, identityOf, type Lstat, pinSource } from "./plan_sources.ts";

/** Beside `usr` in a root file system: directories of their own, or links into `usr`. */
const BESIDE_USR = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
const STORE_PATH = /^\/nix\/store\/[0-9a-z]{32}-[A-Za-z0-9+._?=-]{1,211}$/;
/** A desktop's whole closure has two thousand; each is a mount. */
const MAX_STORE_PATHS = 1_000;
/** What the sandbox itself runs before the agent. */
const PROGRAMS = ["sh", "script"] as const;
/** Of a store path that stands for a closure: the closure's paths, and which of them is the environment itself. */
const LIST = "store-paths";
const ENVIRONMENT = "environment";

export interface ClosureReader {
  /** A small file of the host, or null. */
  readonly readText: (path: string) => Promise<string | null>;
  /** See `MachineFacts`. */
  readonly prefetch: (paths: readonly string[]) => Promise<void>;
}

/** @throws {SandboxError} `bad-sysroot` and those of `pinSource` */
export async function planSysroot(
  sysroot: Sysroot,
  roots: readonly BindRoot[],
  lstat: Lstat,
  reader: ClosureReader,
): Promise<PlannedSysroot> {
  if (sysroot === "host") return { kind: "host", mounts: [], links: [] };
  return "rootfs" in sysroot
    ? await planRootfs(checkPath(sysroot.rootfs, "the sysroot"), roots, lstat, reader)
    : await planClosure(checkPath(sysroot.nix, "the sysroot"), roots, lstat, reader);
}

async function planRootfs(
  source: string,
  roots: readonly BindRoot[],
  lstat: Lstat,
  reader: ClosureReader,
): Promise<PlannedSysroot> {
  await reader.prefetch(
    ["usr", "usr/bin", ...PROGRAMS.map((name) => `usr/bin/${name}`), ...BESIDE_USR]
      .map((name) => `${source}/${name}`),
  );
  await pinSource(source, "ro", roots, lstat, false);
  const bind = async (name: string): Promise<PlannedBind> => {
    const info = await pinSource(`${source}/${name}`, "ro", roots, lstat, false);
    return systemBind(`${source}/${name}`, `/${name}`, info && identityOf(info));
  };
  const mounts = [await bind("usr")];
  const links: { target: string; dest: string }[] = [];
  for (const name of BESIDE_USR) {
    const info = await lstat(`${source}/${name}`);
    if (info === null) continue;
    // Wherever the link leads on the host: in the sandbox it leads into its own /usr or nowhere.
    if (info.isSymlink) links.push({ target: `usr/${name}`, dest: `/${name}` });
    else mounts.push(await bind(name));
  }
  for (const program of PROGRAMS) {
    if (await lstat(`${source}/usr/bin/${program}`) !== null) continue;
    throw new SandboxError(
      "bad-sysroot",
      `Cannot use the root file system "${source}": it has no /usr/bin/${program}`,
      { hint: "install dash (or bash) and bsdutils (util-linux) in it" },
    );
  }
  return { kind: "rootfs", mounts, links };
}

async function planClosure(
  source: string,
  roots: readonly BindRoot[],
  lstat: Lstat,
  reader: ClosureReader,
): Promise<PlannedSysroot> {
  const isStorePath = STORE_PATH.test(source);
  const list = isStorePath ? `${source}/${LIST}` : source;
  await pinSource(list, "ro", roots, lstat, false);
  const text = await reader.readText(list);
  const paths = [...new Set((text ?? "").split("\n").filter((line) => line !== ""))].toSorted();
  const wrong = paths.find((path) => !STORE_PATH.test(path));
  if (paths.length === 0 || paths.length > MAX_STORE_PATHS || wrong !== undefined) {
    throw new SandboxError(
      "bad-sysroot",
      `Cannot use the closure "${list}": ${
        wrong === undefined
          ? `it lists ${paths.length} store paths, not 1 to ${MAX_STORE_PATHS}`
          : `${JSON.stringify(wrong.slice(0, 120))} is no store path`
      }`,
      { hint: "make it with `nix-store --query --requisites PATH >FILE`, or with closureInfo" },
    );
  }
  const named = `${source}/${ENVIRONMENT}`;
  await reader.prefetch([
    named,
    ...paths.flatMap((
      path,
    ) => [path, ...[...PROGRAMS, "env"].map((name) => `${path}/bin/${name}`)]),
  ]);
  const mounts: PlannedBind[] = [];
  for (const path of paths) {
    const info = await pinSource(path, "ro", roots, lstat, false);
    mounts.push(systemBind(path, path, info && identityOf(info)));
  }
  const find = async (name: string): Promise<string | null> => {
    for (const path of paths) {
      if (await lstat(`${path}/bin/${name}`) !== null) return `${path}/bin/${name}`;
    }
    return null;
  };
  const program = async (name: string): Promise<string> => {
    const found = await find(name);
    if (found !== null) return found;
    throw new SandboxError(
      "bad-sysroot",
      `Cannot use the closure "${list}": no path in it has bin/${name}`,
      { hint: "add bash and util-linux to the environment" },
    );
  };
  const links = [
    { target: await program("sh"), dest: "/bin/sh" },
    { target: await program("script"), dest: "/usr/bin/script" },
  ];
  // Scripts begin with it.
  const env = await find("env");
  if (env !== null) links.push({ target: env, dest: "/usr/bin/env" });
  if (isStorePath && await lstat(named) !== null) {
    const environment = (await reader.readText(named) ?? "").trim();
    if (!paths.includes(environment)) {
      throw new SandboxError(
        "bad-sysroot",
        `Cannot use the closure "${source}": the environment that it names is not in it`,
        { hint: "build it anew: `bureau environment build NAME FLAKE`" },
      );
    }
    // Where the PATH of every built-in template begins.
    links.push({ target: `${environment}/bin`, dest: "/usr/local/bin" });
  }
  return { kind: "nix", mounts, links };
}

function systemBind(
  source: string,
  dest: string,
  identity: string | null | undefined,
): PlannedBind {
  return {
    kind: "bind",
    source,
    dest,
    mode: "ro",
    why: "sysroot",
    ...(identity === null || identity === undefined ? {} : { identity }),
  };
}
