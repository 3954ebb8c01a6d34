// SPDX-License-Identifier: Apache-2.0

/**
 * What every agent must do, whatever model it has: the words are for real models, the first of each for stand-ins, and
 * what is checked is what comes of it.
 */
import assert from "node:assert/strict";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { answerTo, ask, write } from "../e2e/agents.ts";
import { type Bureau, eventually, findProcess } from "../e2e/harness.ts";
import { roomId } from "../e2e/matrix.ts";
import type { Program } from "./programs.ts";

export interface Scene {
  readonly bureau: Bureau;
  readonly program: Program;
  /** Its name within the fleet. */
  readonly agent: string;
  /** Of its `repo` and `home`. */
  readonly dir: string;
  /** Told each answer: may throw, e.g. where the money is spent. */
  readonly heard?: (answer: string) => void;
}

/** An agent that was just made has a file to work on. */
export async function sceneOf(bureau: Bureau, program: Program): Promise<Scene> {
  const agent = `agent/${program.name}`;
  const hash = await principalHash(`bureau/fleet/dev/${agent}`);
  const dir = `${bureau.stateDir}/workspaces/${hash}`;
  await Deno.writeTextFile(`${dir}/repo/notes.txt`, "one\ntwo\n");
  await Deno.chmod(`${dir}/repo/notes.txt`, 0o666);
  return { bureau, program, agent, dir };
}

async function say({ bureau, agent, heard }: Scene, text: string): Promise<string> {
  const answer = await ask(bureau, agent, text);
  heard?.(answer);
  return answer;
}

export async function readsAndEdits(scene: Scene): Promise<void> {
  const { bureau, dir, program } = scene;
  const answer = await say(
    scene,
    "EDIT the file notes.txt in your working directory: replace the line `one` by `ONE`. Then run the " +
      "command `wc -l <notes.txt; cat notes.txt >copy.txt`, and answer with how many lines it counted.",
  );
  assert.match(answer, /\b2\b/);
  assert.equal(await Deno.readTextFile(`${dir}/repo/notes.txt`), "ONE\ntwo\n");
  assert.equal(await Deno.readTextFile(`${dir}/repo/copy.txt`), "ONE\ntwo\n");
  const diff = await bureau.cli("agent", "diff", program.name);
  assert.match(diff.stdout, /^\+ONE$/m, diff.stderr);
}

export async function outlivesTheDaemon(scene: Scene): Promise<void> {
  const isDaemon = (line: string) => line.includes("/daemon.js");
  Deno.kill((await findProcess(scene.bureau, isDaemon))!, "SIGKILL");
  assert.match(await say(scene, "AFTER that: answer with the words `Still here.`"), /still here/i);
}

/** @param isAtWork whether it works on what it was just told */
export async function goesOnWhereItWasKilled(
  scene: Scene,
  isAtWork: () => Promise<boolean>,
): Promise<void> {
  const { bureau, agent, heard } = scene;
  const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
  const id = await write(
    bureau,
    room,
    "HOLD on: run the command `sleep 20; echo finished`, then answer with the word that it printed.",
  );
  await eventually("it works on it", isAtWork, 120_000);
  await killDriver(scene);
  const answer = await answerTo(bureau, room, id);
  heard?.(answer);
  assert.match(answer, /finished/i);
  await remembers(scene);
}

export async function remembers(scene: Scene): Promise<void> {
  const question = "KNOW it? Which file did I ask you to change first? Answer with its name.";
  assert.match(await say(scene, question), /notes\.txt/);
}

/** What drives it, and with it the sandbox. */
export async function killDriver({ bureau, program }: Scene): Promise<void> {
  const driver = await eventually(
    "it runs",
    () => findProcess(bureau, (line) => program.driver.test(line)),
  );
  Deno.kill(driver, "SIGKILL");
}
