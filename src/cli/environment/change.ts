// SPDX-License-Identifier: Apache-2.0

/** `environment build`, `use`, `update`, `rollback` and `remove`. What Nix builds is built before, by `tasks/environment.sh`. */
import * as z from "zod/mini";
import { LauncherPolicy } from "../../launcher/api.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import { asCalled } from "../framework/called.ts";
import type { CommandHandler, Destroyer, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import { principalOf } from "../session.ts";
import { differenceLines, differencesOf } from "./differ.ts";
import {
  checkName,
  type Environment,
  type Generation,
  generationOf,
  makeCurrent,
  mebibytes,
  readEnvironment,
  readEnvironments,
  readGeneration,
  removeEnvironment,
  removeGeneration,
  sizeOf,
} from "./generations.ts";
import { generationView, userLines } from "./list.ts";
import { giveClosure, type Moved, openRooms, usersOf, wantedOf } from "./users.ts";
import type * as results from "./results.ts";

const STORE = "/nix/store";

export const build: CommandHandler<typeof results.build> = async (call) => {
  const name = checkName(call.args[0]!);
  const generation = await built(call, name);
  const known = (await readEnvironments(call.stateDir)).find((one) => one.name === name);
  const changed = known?.current.number !== generation.number;
  if (changed) await makeCurrent(call.stateDir, name, generation.number);
  call.print(
    changed
      ? `generation ${generation.number} of ${name}: ${generation.paths.length} store paths, ${
        mebibytes(sizeOf(generation))
      }`
      : `${name} is built already, as generation ${generation.number}: nothing changed`,
  );
  if (changed && known === undefined) {
    call.print(asCalled(`now have it used: bureau environment use ${name} --template TEMPLATE`));
  } else if (changed) {
    call.print(`who uses ${name} stays with what they have until: environment use ${name} --all`);
  }
  return { name, changed, generation: generationView(generation, generation) };
};

export const use: CommandHandler<typeof results.use> = async (call) => {
  const environment = await readEnvironment(call.stateDir, call.args[0]!);
  const { name } = environment;
  const number = call.flags["generation"] as number | undefined;
  const generation = number === undefined ? environment.current : generationOf(environment, number);
  const templates = (call.flags["template"] as readonly string[] | undefined) ?? [];
  const agents = (call.flags["agent"] as readonly string[] | undefined) ?? [];
  const all = call.flags["all"] === true;
  if (!all && templates.length + agents.length === 0) {
    throw new CliError("usage", `Cannot use "${name}": for whom?`, {
      hint:
        "--template ROOM:NAME (all agents made of it), --agent NAME, or --all: who uses it already",
    });
  }
  const rooms = await openRooms(call);
  const allowStore = await storeAllowed(call);
  const known = all ? wantedOf(await usersOf(rooms.store, environment)) : wantedOf([]);
  const moved = await giveClosure(
    call,
    rooms,
    {
      templates: [...new Set([...known.templates, ...templates])],
      agents: [
        ...new Set([...known.agents, ...agents.map((one) => principalOf(rooms.session, one))]),
      ],
    },
    generation.closure,
    `have "${name}" used`,
    allowStore,
  );
  sayMoved(call, moved);
  return ended({ name, generation: generation.number, moved }, moved);
};

export const update: CommandHandler<typeof results.update> = async (call) => {
  const environment = await readEnvironment(call.stateDir, call.args[0]!);
  return await moveTo(call, environment, await built(call, environment.name));
};

export const rollback: CommandHandler<typeof results.rollback> = async (call) => {
  const environment = await readEnvironment(call.stateDir, call.args[0]!);
  const { name, current, generations } = environment;
  const to = call.flags["to"] as number | undefined;
  const target = to === undefined
    ? generations.findLast(({ number }) => number < current.number)
    : generationOf(environment, to);
  if (target !== undefined) return await moveTo(call, environment, target);
  throw new CliError(
    "no-such-generation",
    `Cannot roll back "${name}": generation ${current.number} is the oldest that is kept`,
    { status: 404, hint: "--to N names another one; `bureau environment show` lists them" },
  );
};

/** Makes a generation the current one, and gives it to everybody who uses another one. */
async function moveTo(call: Invocation, environment: Environment, target: Generation) {
  const { name, current } = environment;
  const dry = call.flags["dry-run"] === true;
  const changed = current.number !== target.number;
  if (!changed) call.print(`generation ${current.number} is what ${name} is: nothing changed`);
  else for (const line of differenceLines(current, target)) call.print(line);
  const result = {
    name,
    changed: changed && !dry,
    dry_run: dry,
    before: current.number,
    after: target.number,
    differences: changed ? differencesOf(current, target) : [],
    bytes: sizeOf(target) - sizeOf(current),
  };
  if (!changed) return { ...result, moved: null };
  const rooms = await openRooms(call);
  const users = (await usersOf(rooms.store, environment))
    .filter((one) => one.generation !== target.number);
  const what = `give generation ${target.number} of "${name}" to its users`;
  const moved = await giveClosure(call, rooms, wantedOf(users), target.closure, what);
  if (!dry) await makeCurrent(call.stateDir, name, target.number);
  sayMoved(call, moved);
  return ended({ ...result, moved }, moved);
}

function sayMoved(call: Invocation, moved: Moved): void {
  if (moved.dry_run) call.print("nothing was changed (--dry-run)");
  else if (moved.templates.length + moved.agents.length === 0) {
    call.print("nobody had to be changed");
  }
}

function ended<R>(result: R, moved: Moved): R | Ended<R> {
  return moved.signed.every(({ signed }) => signed) ? result : new Ended(result, Exit.failed);
}

export const remove: Destroyer<typeof results.remove> = async (call) => {
  const environment = await readEnvironment(call.stateDir, call.args[0]!);
  const { name, current, generations } = environment;
  const users = await usersOf((await openRooms(call)).store, environment);
  const used = new Set(users.map(({ generation }) => generation));
  const whole = call.flags["old"] !== true;
  if (whole && users.length > 0) {
    for (const line of userLines(users, environment)) call.print(line);
    throw new CliError("in-use", `Cannot remove "${name}": it is in use`, {
      status: 409,
      hint:
        `give them another one first (bureau environment use OTHER), or remove what nobody uses of it: --old`,
    });
  }
  const gone = generations.filter(({ number }) =>
    whole || (number !== current.number && !used.has(number))
  );
  const numbers = gone.map(({ number }) => number);
  const what = numbers.length === 0
    ? `no generation of ${name}`
    : `generation ${numbers.join(", ")} of ${name}`;
  return {
    what: `remove ${what}`,
    lines: numbers.length === 0
      ? ["every generation of it is current, or in use"]
      : ["`nix-collect-garbage` frees what nothing else holds of it"],
    harmless: numbers.length === 0,
    run: async () => {
      if (whole) await removeEnvironment(call.stateDir, name);
      else for (const number of numbers) await removeGeneration(call.stateDir, name, number);
      call.print(
        numbers.length === 0
          ? "every generation of it is current, or in use"
          : `${what} is removed: \`nix-collect-garbage\` frees what nothing else holds of it`,
      );
      return { name, generations: numbers, whole };
    },
  };
};

/** What `sh tasks/bureau` has just built. */
async function built(call: Invocation, name: string): Promise<Generation> {
  const number = call.flags["generation"] as number | undefined;
  const found = number === undefined ? null : await readGeneration(call.stateDir, name, number);
  if (found !== null) return found;
  throw new CliError("usage", "Cannot build from here", {
    hint: "run `sh tasks/bureau environment build NAME FLAKE`, which has Nix build it",
  });
}

/**
 * Sandboxes bind only what the policy names.
 * @returns what has the policy name the store
 */
async function storeAllowed(call: Invocation): Promise<() => Promise<void>> {
  const path = `${call.stateDir}/operator/policy.json`;
  const parsed = z.safeParse(LauncherPolicy, await readJson(path));
  if (!parsed.success) {
    throw new CliError("no-policy", `Cannot use the policy "${path}"`, {
      hint: "run `deno task up`, which writes it",
    });
  }
  const policy = parsed.data;
  if (policy.bind_roots.some((root) => root.path === STORE)) return () => Promise.resolve();
  if (call.flags["allow-store"] !== true) {
    throw new CliError(
      "store-not-allowed",
      `Cannot use an environment: the policy allows no binds from "${STORE}"`,
      {
        status: 403,
        hint: `add --allow-store, which lets templates bind what is in it, read-only ("${path}")`,
      },
    );
  }
  call.print(`${STORE} becomes a bind root of the policy, read-only`);
  const bind_roots = [...policy.bind_roots, { path: STORE, mode: "ro" as const }];
  const text = JSON.stringify({ ...policy, bind_roots }, null, 2) + "\n";
  return async () => void await writeIfDifferent(path, text, 0o644);
}
