// SPDX-License-Identifier: Apache-2.0

/** `environment list`, `show` and `outputs`. */
import * as z from "zod/mini";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import {
  type Environment,
  type Generation,
  mebibytes,
  readEnvironment,
  readEnvironments,
  sizeOf,
} from "./generations.ts";
import { openRooms, type User, usersOf } from "./users.ts";
import type * as results from "./results.ts";

/** Of a closure a person looks at what is large. */
const LARGEST = 12;

export function generationView(one: Generation, current: Generation) {
  return {
    number: one.number,
    current: one.number === current.number,
    closure: one.closure,
    result: one.result,
    flake: one.flake,
    revision: one.revision,
    built_at: new Date(one.builtAt).toISOString(),
    paths: one.paths.length,
    bytes: sizeOf(one),
  };
}

export const list: CommandHandler<typeof results.list> = async (call) => {
  const all = await readEnvironments(call.stateDir);
  const lines = all.length === 0
    ? ["no environment was built here: bureau environment build NAME FLAKE"]
    : table(
      ["ENVIRONMENT", "GENERATION", "BUILT", "PATHS", "SIZE", "FLAKE"],
      all.map(({ name, current, generations }) => [
        name,
        generations.length === 1
          ? String(current.number)
          : `${current.number} of ${generations.length}`,
        ago(current.builtAt),
        String(current.paths.length),
        mebibytes(sizeOf(current)),
        neutraliseLine(current.flake),
      ]),
    );
  for (const line of lines) call.print(line);
  return {
    environments: all.map(({ name, current, generations }) => ({
      name,
      generation: generationView(current, current),
      generations: generations.length,
    })),
  };
};

export const show: CommandHandler<typeof results.show> = async (call) => {
  const environment = await readEnvironment(call.stateDir, call.args[0]!);
  const { store } = await openRooms(call);
  const users = await usersOf(store, environment);
  const { current } = environment;
  const paths = current.paths.toSorted((a, b) => b.bytes - a.bytes);
  for (const line of generationLines(environment)) call.print(line);
  call.print("");
  call.print(`closure  ${current.closure}`);
  call.print(`programs ${current.result}/bin, in a sandbox /usr/local/bin`);
  if (current.revision !== null) call.print(`revision ${current.revision}`);
  call.print(
    `${paths.length} store paths, ${mebibytes(sizeOf(current))}; each is a read-only mount`,
  );
  for (const { path, bytes } of paths.slice(0, LARGEST)) {
    call.print(`  ${mebibytes(bytes).padStart(9)}  ${path}`);
  }
  if (paths.length > LARGEST) call.print(`  and ${paths.length - LARGEST} smaller ones`);
  call.print("");
  for (const line of userLines(users, environment)) call.print(line);
  return {
    name: environment.name,
    generations: environment.generations.map((one) => generationView(one, current)),
    store_paths: paths,
    users,
  };
};

function generationLines({ current, generations }: Environment): string[] {
  return table(
    ["GENERATION", "BUILT", "PATHS", "SIZE", "FLAKE"],
    generations.map((one) => [
      one.number === current.number ? `${one.number} (current)` : String(one.number),
      ago(one.builtAt),
      String(one.paths.length),
      mebibytes(sizeOf(one)),
      neutraliseLine(one.flake),
    ]),
  );
}

export function userLines(users: readonly User[], { name, current }: Environment): string[] {
  if (users.length === 0) {
    return [`nobody uses it: bureau environment use ${name} --template TEMPLATE`];
  }
  return table(
    ["USED BY", "GENERATION", "MACHINE"],
    users.map((one) => [
      one.kind === "agent" ? shortName(one.name) : neutraliseLine(one.name),
      one.generation === current.number ? `${one.generation}` : `${one.generation} (not current)`,
      one.machine === null ? "" : shortName(one.machine),
    ]),
  );
}

/** What `nix flake show --json` says of packages: for other systems it may say nothing of each. */
const Shown = z.looseObject({
  packages: z.optional(
    z.record(z.string(), z.record(z.string(), z.looseObject({ name: z.optional(z.string()) }))),
  ),
});

export const outputs: CommandHandler<typeof results.outputs> = async (call) => {
  const system = String(call.flags["system"] ?? "");
  if (system === "") {
    throw new CliError("usage", "Cannot ask Nix from here", {
      hint: "run `sh tasks/bureau environment outputs FLAKE`, which does",
    });
  }
  const parsed = z.safeParse(Shown, jsonOf(new TextDecoder().decode(await call.input())));
  if (!parsed.success) {
    throw new CliError("bad-flake", `Cannot read what Nix said of "${call.args[0]}"`);
  }
  const found = Object.entries(parsed.data.packages?.[system] ?? {})
    .map(([output, { name = "" }]) => ({ output, name }));
  const lines = found.length === 0
    ? [`it has no package for ${system}`]
    : table(["OUTPUT", "PACKAGE"], found.map(({ output, name }) => [output, name]));
  for (const line of lines) call.print(neutraliseLine(line));
  return { system, outputs: found };
};

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
