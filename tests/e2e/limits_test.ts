// SPDX-License-Identifier: Apache-2.0

/** What an agent takes is told, it is stopped in its tracks, and it is killed: by the commands, on real parts. */
import assert from "node:assert/strict";
import { type Bureau, eventually, findProcess, skip, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

const NAME = "agent/counter";
/** Counts in its own memory and on its terminal. */
const PROGRAM = "n=0; while :; do n=$((n + 1)); echo count-$n; sleep 0.05; done";
const isCounter = (line: string) => line.startsWith("/bin/sh -c n=0; while");

async function make(bureau: Bureau): Promise<void> {
  const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
  await matrix(bureau, `rooms/${templates}/state/m.bureau.template/counter`, {
    method: "PUT",
    body: {
      description: "Counts",
      command: ["/bin/sh", "-c", PROGRAM],
      environment_variables: { PATH: "/usr/bin:/bin" },
      resources: { memory_limit_mb: 96, pids_limit: 50 },
      restart_policy: "always",
    },
  });
  const made = await bureau.cli(
    "agent",
    "create",
    NAME,
    "--template",
    "bureau/template:counter",
  );
  assert.equal(made.code, 0, made.stderr);
  await eventually("it runs", async () => {
    const { stdout } = await bureau.cli("agent", "show", NAME);
    return /state +running/.test(stdout) ? true : null;
  }, 60_000);
}

/** The last number on its terminal. */
async function count(bureau: Bureau): Promise<number> {
  const { stdout } = await bureau.cli("observe", NAME, "--dump");
  return Number([...stdout.matchAll(/count-(\d+)/g)].at(-1)?.[1] ?? 0);
}

/** In nanoseconds; null where the kernel doesn't say. */
async function slice(pid: number): Promise<number | null> {
  const text = await Deno.readTextFile(`/proc/${pid}/sched`).catch(() => "");
  const found = /^se\.slice\s*:\s*(\d+)/m.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/** Bureau's own processes go first: heavy groups, and short slices where the kernel knows them. */
async function comesFirst(bureau: Bureau, t: Deno.TestContext): Promise<void> {
  const pidOf = async (test: (line: string) => boolean) => (await findProcess(bureau, test))!;
  const own = await Promise.all(
    ["daemon", "homeserver", "launcher", "proxy"].map((role) =>
      pidOf((line) => line.includes(`/${role}.js`) && /^\S*\/deno /.test(line))
    ),
  );
  const agent = await pidOf(isCounter);
  const group = async (pid: number) =>
    /:cpu(?:,\w+)?:(.*)$/m.exec(await Deno.readTextFile(`/proc/${pid}/cgroup`))?.[1] ?? "";
  for (const [n, pid] of own.entries()) {
    assert.match(await group(pid), n === 3 ? /\/[0-9a-f]{16}\.proxy$/ : /\/bureau-\d+\/up$/);
  }
  assert.match(await group(agent), /\/[0-9a-f]{16}\.agent$/);
  const usual = await slice(agent);
  const lacking = await slice(Deno.pid) !== usual
    ? "this test itself has no usual slices"
    : usual === null || (await slice(own[0]!)) === usual
    ? "this kernel (before 6.12?) or machine has no slices of one's own"
    : null;
  if (lacking !== null) return await skip(t, lacking);
  for (const pid of own) assert.equal(await slice(pid), 100_000);
  assert.notEqual(usual, 100_000);
}

Deno.test("agent usage, list --usage, freeze, thaw and kill do what they say", async (t) => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    await make(bureau);
    const cli = (what: string) => bureau.cli("agent", what, NAME);

    const usage = await cli("usage");
    if (usage.code !== 0) {
      // What a machine that can't count says, and what the table makes of it.
      assert.match(usage.stderr, /it has no control group/);
      const { code, stdout } = await bureau.cli("agent", "list", "--usage");
      assert.equal(code, 0);
      assert.match(stdout, /^agent\/counter +running +- +-/m);
      return await skip(t, "no control groups here: nothing counts, and nothing can be frozen");
    }
    assert.match(usage.stdout, /^memory +[\d.]+ MiB, of 96\.0 MiB;/m);
    assert.match(usage.stdout, /^processes +\d+, of 66$/m);
    const table = await bureau.cli("agent", "list", "--usage");
    assert.match(table.stdout, /^agent\/counter +running +\d+ of 96 +\d+ of 66 +[\d.]+ +/m);
    const json = JSON.parse((await bureau.cli("agent", "list", "--usage", "--json")).stdout);
    const rows = (json.result ?? json).principals as { principal: string; usage: unknown }[];
    assert.ok(rows.find(({ principal }) => principal.endsWith(NAME))?.usage);

    await comesFirst(bureau, t);
    assert.ok(await eventually("it counts", async () => await count(bureau) || null, 30_000) > 0);
    assert.equal((await cli("freeze")).code, 0);
    assert.match((await bureau.cli("agent", "list")).stdout, /agent\/counter .*FROZEN/);
    assert.match((await cli("usage")).stdout, /^frozen +yes$/m);
    const watched = await bureau.cli("observe", NAME, "--dump");
    assert.notEqual(watched.code, 0);
    assert.match(watched.stderr, /frozen/);
    assert.equal((await cli("thaw")).code, 0);
    const thawed = await eventually("seen again", async () => await count(bureau) || null, 30_000);
    await eventually("it goes on", async () => await count(bureau) > thawed || null, 30_000);

    const first = await findProcess(bureau, isCounter);
    const killed = await bureau.cli("agent", "kill", NAME, "--yes");
    assert.equal(killed.code, 0, killed.stderr);
    await eventually("its restart policy brings it back", async () => {
      const now = await findProcess(bureau, isCounter);
      return now !== null && now !== first ? true : null;
    }, 60_000);
    assert.match((await cli("show")).stdout, /^restarts +[1-9]/m);
    // A name that is not there.
    const none = await bureau.cli("agent", "usage", "agent/none");
    assert.notEqual(none.code, 0);
    assert.match(none.stderr, /Cannot find "agent\/none"|no such principal/);
  });
});
