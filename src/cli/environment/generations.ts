// SPDX-License-Identifier: Apache-2.0

/**
 * Environments as `tasks/environment.sh` left them: `environments/NAME/NUMBER`, each a generation with two links
 * that keep its closure from Nix's garbage collection. `environments/NAME/current` says which one counts.
 */
import * as z from "zod/mini";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { readJson, readText, writeIfDifferent } from "../files.ts";
import { CliError } from "../framework/exit.ts";

export interface StorePath {
  readonly path: string;
  readonly bytes: number;
}

export interface Generation {
  readonly number: number;
  /** The store path that a template's `environment` names: the list of all paths, named by its content. */
  readonly closure: string;
  /** What was built. */
  readonly result: string;
  readonly flake: string;
  /** The commit, where the flake has one. */
  readonly revision: string | null;
  readonly builtAt: number;
  readonly paths: readonly StorePath[];
}

export interface Environment {
  readonly name: string;
  readonly current: Generation;
  /** Oldest first. */
  readonly generations: readonly Generation[];
}

/** Nix says it as a list, and from version 2.19 on by path. */
const PathInfo = z.union([
  z.array(z.looseObject({ path: z.string(), narSize: z.number() })),
  z.record(z.string(), z.looseObject({ narSize: z.number() })),
]);
const Metadata = z.looseObject({
  revision: z.optional(z.string()),
  locked: z.optional(z.looseObject({ rev: z.optional(z.string()) })),
});
const NAME = /^[a-z0-9][a-z0-9-]*$/;
const NUMBER = /^[1-9]\d{0,8}$/;

export const sizeOf = ({ paths }: Generation): number =>
  paths.reduce((sum, { bytes }) => sum + bytes, 0);

export function mebibytes(bytes: number): string {
  const size = bytes / 2 ** 20;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} MiB`;
}

/** @throws {CliError} `usage` */
export function checkName(name: string): string {
  if (NAME.test(name)) return name;
  throw new CliError("usage", `Cannot use the name "${neutraliseLine(name)}"`, {
    hint: "an environment's name is of a-z, 0-9 and -, for example python-tools",
  });
}

export async function readEnvironments(stateDir: string): Promise<Environment[]> {
  const all: Environment[] = [];
  for (const name of entries(`${stateDir}/environments`)) {
    const found = NAME.test(name) ? await read(stateDir, name) : null;
    if (found !== null) all.push(found);
  }
  return all.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** @throws {CliError} `no-such-environment` */
export async function readEnvironment(stateDir: string, name: string): Promise<Environment> {
  const found = await read(stateDir, checkName(name));
  if (found !== null) return found;
  const names = (await readEnvironments(stateDir)).map((one) => one.name);
  throw new CliError("no-such-environment", `Cannot find the environment "${name}"`, {
    status: 404,
    hint: names.length === 0
      ? `\`bureau environment build ${name} FLAKE\` makes it`
      : `there are: ${names.join(", ")}`,
  });
}

/** @throws {CliError} `no-such-generation` */
export function generationOf(environment: Environment, number: number): Generation {
  const found = environment.generations.find((one) => one.number === number);
  if (found !== undefined) return found;
  const numbers = environment.generations.map((one) => one.number).join(", ");
  throw new CliError(
    "no-such-generation",
    `Cannot find generation ${number} of "${environment.name}"`,
    { status: 404, hint: `there are: ${numbers}` },
  );
}

export async function readGeneration(
  stateDir: string,
  name: string,
  number: number,
): Promise<Generation | null> {
  const dir = `${stateDir}/environments/${name}/${number}`;
  const info = z.safeParse(PathInfo, await readJson(`${dir}/paths.json`));
  // The file is written last: without it the generation was never finished.
  if (!info.success) return null;
  const metadata = z.safeParse(Metadata, await readJson(`${dir}/metadata.json`));
  const { revision, locked } = metadata.success ? metadata.data : {};
  const paths = Array.isArray(info.data)
    ? info.data.map(({ path, narSize }) => ({ path, bytes: narSize }))
    : Object.entries(info.data).map(([path, { narSize }]) => ({ path, bytes: narSize }));
  return {
    number,
    closure: await Deno.readLink(`${dir}/closure`),
    result: await Deno.readLink(`${dir}/result`),
    flake: (await readText(`${dir}/flake`) ?? "").trim(),
    revision: revision ?? locked?.rev ?? null,
    builtAt: (await Deno.stat(`${dir}/paths.json`)).mtime?.getTime() ?? 0,
    paths: paths.sort((a, b) => a.path < b.path ? -1 : 1),
  };
}

export async function makeCurrent(stateDir: string, name: string, number: number): Promise<void> {
  await writeIfDifferent(`${stateDir}/environments/${name}/current`, `${number}\n`, 0o644);
}

/** Nix forgets roots that are gone: its next garbage collection takes what nothing else holds. */
export async function removeGeneration(stateDir: string, name: string, number: number) {
  await Deno.remove(`${stateDir}/environments/${name}/${number}`, { recursive: true });
}

export async function removeEnvironment(stateDir: string, name: string): Promise<void> {
  await Deno.remove(`${stateDir}/environments/${name}`, { recursive: true });
}

async function read(stateDir: string, name: string): Promise<Environment | null> {
  const current = (await readText(`${stateDir}/environments/${name}/current`) ?? "").trim();
  const numbers = entries(`${stateDir}/environments/${name}`)
    .filter((entry) => NUMBER.test(entry)).map(Number).sort((a, b) => a - b);
  const generations: Generation[] = [];
  for (const number of numbers) {
    const one = await readGeneration(stateDir, name, number);
    if (one !== null) generations.push(one);
  }
  const now = generations.find(({ number }) => String(number) === current);
  return now === undefined ? null : { name, current: now, generations };
}

function entries(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].filter((entry) => entry.isDirectory).map(({ name }) => name);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return [];
    throw thrown;
  }
}

/** What stands in a file of a closure's list, which nobody here may read in the store itself; null: it is none of ours. */
export async function closureFile(stateDir: string, path: string): Promise<string | null> {
  for (const { generations } of await readEnvironments(stateDir)) {
    for (const one of generations) {
      if (path === `${one.closure}/store-paths`) {
        return one.paths.map(({ path }) => `${path}\n`).join("");
      }
      if (path === `${one.closure}/environment`) return `${one.result}\n`;
    }
  }
  return null;
}
