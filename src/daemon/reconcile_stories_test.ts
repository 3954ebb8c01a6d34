// SPDX-License-Identifier: Apache-2.0

/**
 * Tests: what happens to the world of reconcile_model_test.ts. A story is a string of bytes: each picks one of the steps
 * that are possible just then, so that shrinking shortens it.
 */
import fc from "fast-check";
import { Broken, type Habits, World } from "./reconcile_model_test.ts";
import type { Desired } from "./reconcile.ts";

type Step = (world: World) => void;

const launcherStep: Step = (world) => world.launcherStep();
const pass: Step = (world) => world.pass();
const answered: Step = (world) => world.answered();
const hear: Step = (world) => world.hear();
const hearSnapshot: Step = (world) => world.hearSnapshot();
const takeSnapshot: Step = (world) => world.takeSnapshot();
const connect: Step = (world) => world.connect();
const disconnect: Step = (world) => world.disconnect();
const publish: Step = (world) => world.publish();
const daemonCrash: Step = (world) => world.daemonCrash();
const daemonStart: Step = (world) => world.daemonStart();
const launcherCrash: Step = (world) => world.launcherCrash();
const launcherStart: Step = (world) => world.launcherStart();
const launcherForget: Step = (world) => world.launcherForget();
const exit0: Step = (world) => world.exit(0);
const exit1: Step = (world) => world.exit(1);
const sleep: Step = (world) => world.time(Math.max(1, world.wakeAt! - world.now));
const second: Step = (world) => world.time(1_000);
const halfMinute: Step = (world) => world.time(31_000);
const minutes: Step = (world) => world.time(90_000);
const failNext: Step = (world) => {
  world.failNext = true;
};
const poke: Step = (world) => world.newsOfEvents();
const rotate: Step = (world) => world.edit({ credentials: world.truth.credentials + 1 });
const respec: Step = (world) => world.edit({ spec: world.truth.spec + 1 });
const stop: Step = (world) => world.edit({ want: "stopped" });
const remove: Step = (world) => world.edit({ want: "absent" });
const start: Step = (world) => world.edit({ want: "running" });
const hold: Step = (world) => world.edit({ trouble: "hold" });
const unready: Step = (world) => world.edit({ trouble: "unready" });
const unbind: Step = (world) => world.edit({ trouble: "unbound" });
const heal: Step = (world) => world.edit({ trouble: "none" });

/** What goes on by itself. */
function onward(world: World): Step[] {
  const steps: Step[] = [];
  if (world.launcherUp && (world.stage !== null || world.queue.length > 0)) {
    steps.push(launcherStep);
  }
  if (!world.launcherUp) {
    steps.push(launcherStart, launcherStart, launcherStart);
    const { entry } = world;
    if (entry !== null && entry.exit !== null && world.completed.has(entry.issuedAt)) {
      steps.push(launcherForget);
    }
  }
  if (!world.daemonUp) return [...steps, daemonStart];
  if (world.dirty && world.asked === null) steps.push(pass);
  if (world.asked !== null && world.asked.answer !== null) steps.push(answered);
  if (world.news.length > 0) steps.push(hear);
  if (world.snapshot !== null) steps.push(hearSnapshot);
  if (world.isCut) steps.push(disconnect);
  if (!world.connected && world.launcherUp) steps.push(connect);
  if (world.connected && world.isFresh && world.launcherUp && world.snapshot === null) {
    steps.push(takeSnapshot);
  }
  if (world.toPublish !== null) steps.push(publish);
  if (world.wakeAt !== null) steps.push(sleep);
  if (world.sandbox !== null && world.habits.looping) steps.push(exit1);
  return steps;
}

/** What comes in between. */
function disturbing(world: World): Step[] {
  const { truth } = world;
  const steps: Step[] = [second, halfMinute, minutes, failNext];
  if (world.sandbox !== null) steps.push(exit0, exit1, exit1, exit1);
  if (world.daemonUp) steps.push(daemonCrash, poke);
  if (world.launcherUp) steps.push(launcherCrash);
  if (world.connected && world.launcherUp && world.snapshot === null) steps.push(takeSnapshot);
  steps.push(
    rotate,
    respec,
    truth.want === "running" ? stop : start,
    truth.want === "absent" ? start : remove,
  );
  steps.push(...(truth.trouble === "none" ? [hold, unready, unbind] : [heal, heal, heal]));
  return steps;
}

/** Nine steps in ten go on, while there is something that can. */
function follow(world: World, schedule: Iterable<number>, onStep?: (name: string) => void): void {
  for (const byte of schedule) {
    const usual = onward(world);
    const steps = byte < (world.habits.looping ? 255 : 224) && usual.length > 0
      ? usual
      : disturbing(world);
    const step = steps[byte % steps.length]!;
    onStep?.(step.name);
    step(world);
  }
}

/** The steps of a story up to where it broke, for whoever reads a failure. */
export function tell(
  policy: Desired["restartPolicy"],
  schedule: Iterable<number>,
  habits: Partial<Habits> = {},
): string {
  const names: string[] = [policy];
  try {
    const world = new World(policy, habits);
    follow(world, schedule, (name) => names.push(name));
    names.push("settle");
    world.settle();
  } catch (thrown) {
    names.push(`BROKEN: ${(thrown as Error).message}`);
  }
  return names.join(" ");
}

/**
 * Plays `runs` stories and throws with the shortest that breaks.
 * @returns what happened in all of them, so that a test can say that something did
 */
export function play(
  { runs, seed, habits = {} }: { runs: number; seed?: number; habits?: Partial<Habits> },
): { steps: number; spawns: number; broken: number } {
  const told = { steps: 0, spawns: 0, broken: 0 };
  const policies = fc.constantFrom("always" as const, "on-failure" as const, "never" as const);
  const maxLength = habits.looping === true ? 300 : 120;
  const outcome = fc.check(
    fc.property(policies, fc.uint8Array({ maxLength, size: "max" }), (policy, schedule) => {
      const world = new World(policy, habits);
      follow(world, schedule);
      world.settle();
      told.steps += schedule.length;
      told.spawns += world.spawns;
      if (world.isBroken) told.broken++;
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
  if (!outcome.failed) return told;
  throw new Broken(`seed ${outcome.seed}: ${tell(...outcome.counterexample!, habits)}`);
}
