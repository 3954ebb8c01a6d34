// SPDX-License-Identifier: Apache-2.0

/**
 * Twenty principals, any of Bureau's processes killed at any moment, and edits in between: then everything is exactly
 * as the last edits say, and nothing is left over. `BUREAU_CHAOS_SEED` plays a run again, `BUREAU_CHAOS_ROUNDS` a longer
 * one; what happens in between is the machine's, so that a seed gives the same attempts and not the same run.
 */
import assert from "node:assert/strict";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { bureauTemplate, signAssignment } from "../bench/assignments.ts";
import {
  type Bureau,
  commandLine,
  eventually,
  processesOf,
  run,
  withBureau,
} from "../e2e/harness.ts";

const SEED = Number(Deno.env.get("BUREAU_CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(Deno.env.get("BUREAU_CHAOS_ROUNDS") ?? 40);
const PRINCIPALS = 20;
/** Back-off goes to half a minute, and twenty agents start on a machine that does other things too. */
const SETTLE_MS = 5 * 60_000;

/** Mulberry32. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Each sleeps in its own way, so that a process tells which one it is of. */
const SLEEP: Record<string, string> = { chaosa: "864001", chaosb: "864002" };

interface Wanted {
  template: string;
  desired: "running" | "stopped" | "absent";
  /** Marks the grants and the egress that it has now. */
  mark: number;
}

/** Says again until it is heard: the homeserver may be the one that was killed. */
async function put(bureau: Bureau, name: string, wanted: Wanted): Promise<void> {
  await eventually(`${name} is edited`, async () => {
    const { put } = await signAssignment(bureau, name, wanted.template, wanted.desired, {
      authorization: { grants: [{ actions: [`http/mark${wanted.mark}`] }] },
      egress: { allow: [`mark${wanted.mark}.test:443`] },
    });
    await put();
    return true;
  }, 120_000);
}

const hashOf = (name: string) => principalHash(`bureau/fleet/dev/agent/${name}`);

interface Seen {
  readonly agents: string[];
  proxies: number;
  servers: number;
}

/** What runs, by the hash of its principal, from the kernel's own books. */
async function look(
  bureau: Bureau,
  hashes: ReadonlyMap<string, string>,
): Promise<Map<string, Seen>> {
  const seen = new Map<string, Seen>();
  for (const pid of await processesOf(bureau)) {
    const line = await commandLine(pid);
    const mounts = await Deno.readTextFile(`/proc/${pid}/mountinfo`).catch(() => "");
    const name = [...hashes].find(([, hash]) => mounts.includes(hash))?.[0];
    if (name === undefined) continue;
    const one = seen.get(name) ?? { agents: [], proxies: 0, servers: 0 };
    seen.set(name, one);
    const slept = /^sleep (\d+) $/.exec(line)?.[1];
    if (slept !== undefined) one.agents.push(slept);
    else if (/^\/opt\/bureau\/deno .*proxy\.js/.test(line)) one.proxies++;
    else if (/^\/usr\/bin\/tmux -f/.test(line)) one.servers++;
  }
  return seen;
}

/** What its proxy says that it may do. */
async function grants(bureau: Bureau, hash: string): Promise<string> {
  const socket = `${bureau.runDir}/p/${hash}/agent/proxy.sock`;
  const { stdout } = await run("curl", [
    "-sS",
    "-m",
    "5",
    "--unix-socket",
    socket,
    "http://p/v1/grants",
  ]);
  return stdout;
}

/** @throws Error of what is not as it should be */
async function compare(
  bureau: Bureau,
  wanted: ReadonlyMap<string, Wanted>,
  hashes: ReadonlyMap<string, string>,
): Promise<true> {
  const running = [...wanted].filter(([, { desired }]) => desired === "running");
  const directories = [...Deno.readDirSync(`${bureau.runDir}/p`)].map(({ name }) => name).sort();
  assert.deepEqual(directories, running.map(([name]) => hashes.get(name)!).sort(), "directories");
  const seen = await look(bureau, hashes);
  assert.deepEqual(
    Object.fromEntries([...seen].sort()),
    Object.fromEntries(
      running.map(([name, { template }]) =>
        [name, { agents: [SLEEP[template]!], proxies: 1, servers: 1 }] as const
      ).sort(),
    ),
    "processes",
  );
  for (const [name, { mark }] of running) {
    const actions = [...(await grants(bureau, hashes.get(name)!)).matchAll(/"([a-z]+\/[^"]*)"/g)]
      .map(([, action]) => action!).filter((action) => action.includes("mark")).sort();
    assert.deepEqual(actions, [`forward/mark${mark}.test/443`, `http/mark${mark}`], `${name} may`);
  }
  return true;
}

async function isUp(bureau: Bureau): Promise<boolean> {
  for (const pid of await processesOf(bureau)) {
    if ((await commandLine(pid)).includes("/up.js ")) return true;
  }
  return false;
}

async function ensureUp(bureau: Bureau): Promise<void> {
  await eventually("it is up", async () => {
    if (await isUp(bureau)) return true;
    const { code, stdout, stderr } = await bureau.up("--detach", "--no-agent");
    if (code !== 0) throw new Error(stdout + stderr);
    return true;
  }, 120_000);
}

Deno.test(`whatever is killed and edited, in the end all is as it was asked for (seed ${SEED})`, async () => {
  console.log(`BUREAU_CHAOS_SEED=${SEED} BUREAU_CHAOS_ROUNDS=${ROUNDS}`);
  const below = random(SEED);
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach", "--no-agent");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    for (const [name, time] of Object.entries(SLEEP)) {
      await bureauTemplate(bureau, name, {
        inherits: ["bureau/template:base"],
        command: ["/bin/sh", "-c", `sleep ${time} & wait`],
        filesystem: [{ source: "${WORKSPACE}", dest: "/workspace", mode: "rw" }],
        restart_policy: "always",
      });
    }
    const wanted = new Map<string, Wanted>();
    const hashes = new Map<string, string>();
    for (let n = 0; n < PRINCIPALS; n++) {
      const name = `c${n}`;
      hashes.set(name, await hashOf(name));
      wanted.set(name, { template: "chaosa", desired: "running", mark: 0 });
      await put(bureau, name, wanted.get(name)!);
    }
    await eventually("all of them run", () => compare(bureau, wanted, hashes), SETTLE_MS);

    let killed = 0;
    let edited = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const victims = await processesOf(bureau);
      const victim = victims[below(victims.length)]!;
      try {
        Deno.kill(victim, "SIGKILL");
        killed++;
      } catch (thrown) {
        if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
      }
      // Agents are many and the others few: every third time it is one of the others.
      if (round % 3 === 0) {
        const parts = ["up", "homeserver", "launcher", "daemon", "authority", "web"];
        const part = `/${parts[below(parts.length)]}.js`;
        for (const pid of await processesOf(bureau)) {
          if (!(await commandLine(pid)).includes(part)) continue;
          try {
            Deno.kill(pid, "SIGKILL");
            killed++;
          } catch {
            // It went with another.
          }
        }
      }
      await ensureUp(bureau);
      for (let edits = below(3); edits > 0; edits--) {
        const name = `c${below(PRINCIPALS)}`;
        const now = wanted.get(name)!;
        const next = { ...now, mark: round };
        const kind = below(4);
        if (kind === 0) next.desired = now.desired === "running" ? "stopped" : "running";
        else if (kind === 1) next.desired = now.desired === "absent" ? "running" : "absent";
        else if (kind === 2) next.template = now.template === "chaosa" ? "chaosb" : "chaosa";
        wanted.set(name, next);
        await put(bureau, name, next);
        edited++;
      }
      await new Promise((resolve) => setTimeout(resolve, below(1_000)));
    }
    console.log(`${killed} processes killed, ${edited} edits`);
    await ensureUp(bureau);
    await eventually(
      "all is as it was asked for",
      () => compare(bureau, wanted, hashes),
      SETTLE_MS,
    );
    // And stays so.
    for (let looks = 0; looks < 3; looks++) assert.ok(await compare(bureau, wanted, hashes));

    for (const name of wanted.keys()) {
      wanted.set(name, { ...wanted.get(name)!, desired: "absent" });
      await put(bureau, name, wanted.get(name)!);
    }
    await eventually("all are gone", () => compare(bureau, wanted, hashes), SETTLE_MS);
  });
});
