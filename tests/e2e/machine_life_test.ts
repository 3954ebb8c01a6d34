// SPDX-License-Identifier: Apache-2.0

/** What an operator does with a machine of the fleet: cordon, drain, decommission, provision anew, revoke. */
import assert from "node:assert/strict";
import { type Bureau, embeddedOnly, eventually, findProcess, step, withBureau } from "./harness.ts";
import { matrix, roomId, stateEvents } from "./matrix.ts";

const SECRET = "the-secret-that-the-machine-could-read";

interface Machine {
  readonly name: string;
  readonly state: string;
  readonly key_problem: string | null;
  readonly principals: readonly { principal: string; desired: string; phase: string | null }[];
}

async function machines(bureau: Bureau): Promise<Record<string, Machine>> {
  const { machines } = await bureau.json<{ machines: Machine[] }>("machine", "list");
  return Object.fromEntries(machines.map((one) => [one.name, one]));
}

const isShell = (line: string) => /^\/bin\/sh( -l)? $/.test(line);

async function agentShell(bureau: Bureau): Promise<number> {
  return await eventually("its agent runs", () => findProcess(bureau, isShell), 60_000);
}

/** Provisions the worker, and starts `two` as it. */
async function join(one: Bureau, two: Bureau): Promise<void> {
  const { boot_file } = await one.json<{ boot_file: string }>("machine", "provision", "worker");
  const file = `${two.repo}/../boot.json`;
  await Deno.writeTextFile(file, await Deno.readTextFile(boot_file), { mode: 0o600 });
  const joined = await two.up("--detach", "--join", file);
  assert.equal(joined.code, 0, joined.stderr);
}

async function create(bureau: Bureau, name: string, ...more: string[]) {
  return await bureau.cli("agent", "create", name, "--machine", "worker", ...more);
}

/** Codes of what `matrix check` finds about anything. */
async function contradictions(bureau: Bureau): Promise<string[]> {
  const { stdout } = await bureau.cli("matrix", "check", "--json");
  const { findings } = JSON.parse(stdout) as { findings: { code: string; subject: string }[] };
  return findings.map(({ code, subject }) => `${code} ${subject}`);
}

const NAME = "a machine is cordoned, drained, taken out, joins again, and is revoked";

// Another homeserver's admin is somebody else.
interface Shown {
  readonly state: string;
  readonly key: unknown;
  readonly room: string;
  readonly principals: { principal: string; desired: string }[];
}

Deno.test(embeddedOnly(NAME), async (t) => {
  await withBureau(async (one) => {
    const up = await one.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    await withBureau(async (two) => {
      await join(one, two);
      await serving(t, one, two);
    });
    await withBureau(async (three) => await revoked(t, one, three));
  });
});

async function serving(t: Deno.TestContext, one: Bureau, two: Bureau): Promise<void> {
  await step(t, one, "a cordoned machine takes nothing new", async () => {
    const made = await create(one, "agent/a");
    assert.equal(made.code, 0, made.stderr);
    await agentShell(two);
    const cordon = await one.cli("machine", "cordon", "worker", "--reason", "new disk");
    assert.equal(cordon.code, 0, cordon.stderr);
    assert.equal((await machines(one))["worker"]!.state, "cordoned");
    const refused = await create(one, "agent/b");
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(
      refused.stderr,
      /"worker": it is cordoned \(new disk\)\nhint: these take new work/,
    );
    // What it runs may be changed.
    assert.equal((await create(one, "agent/a")).code, 0);
    assert.ok(await findProcess(two, isShell));
  });

  await step(t, one, "a drain stops what it runs, and uncordon starts the same", async () => {
    const drained = await one.json<{ stopped: string[] }>("machine", "drain", "worker");
    const agent = `@bureau/fleet/dev/agent/a:${one.homeserver.serverName}`;
    assert.deepEqual(drained.stopped, [agent]);
    assert.equal(await findProcess(two, isShell), null);
    const { worker } = await machines(one);
    assert.deepEqual(worker!.principals.map(({ desired, phase }) => [desired, phase]), [
      ["stopped", "stopped"],
    ]);
    const uncordon = await one.json<{ started: string[] }>("machine", "uncordon", "worker");
    assert.deepEqual(uncordon.started, [agent]);
    await agentShell(two);
    assert.equal((await machines(one))["worker"]!.state, "ready");
    assert.deepEqual(await contradictions(one), []);
  });

  await step(t, one, "a dry run takes nothing away", async () => {
    // Without its heartbeat, which may come in between.
    const shown = async () => {
      const { state, key, room, principals } = await one.json<Shown>("machine", "show", "worker");
      const assigned = principals.map(({ principal, desired }) => [principal, desired]);
      return { state, key, room, assigned };
    };
    const before = await shown();
    const dry = await one.cli("machine", "decommission", "worker", "--dry-run");
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /assignments taken away: agent\/a\n/);
    const unsure = await one.cli("machine", "decommission", "worker");
    assert.equal(unsure.code, 2, unsure.stdout);
    assert.deepEqual(await shown(), before);
    const own = Object.keys(await machines(one)).find((name) => name !== "worker")!;
    const self = await one.cli("machine", "decommission", own, "--yes");
    assert.equal(self.code, 1, self.stdout);
    assert.match(self.stderr, /you are on it/);
  });

  await step(
    t,
    one,
    "a machine that is taken out leaves nothing, and its daemon ends",
    async () => {
      const done = await one.json<{ account_deactivated: boolean; not_seen_to_stop: string[] }>(
        ...["machine", "decommission", "worker", "--yes"],
      );
      assert.deepEqual([done.account_deactivated, done.not_seen_to_stop], [true, []]);
      assert.deepEqual(Object.values(await machines(one)).map(({ state }) => state), ["ready"]);
      assert.equal(await findProcess(two, isShell), null);
      const room = await roomId(one, "bureau/fleet/dev/machine");
      const [levels] = await stateEvents(one, room, "m.room.power_levels");
      const users = Object.keys(levels!.content["users"] as object);
      assert.deepEqual(users.filter((user) => user.includes("worker")), []);
      const again = await two.up("--detach");
      assert.equal(again.code, 1, again.stdout);
      assert.match(again.stderr, /already runs|refuses its password/);
    },
  );
}

async function revoked(t: Deno.TestContext, one: Bureau, three: Bureau): Promise<void> {
  await step(t, one, "another machine of that name joins", async () => {
    await join(one, three);
    const credentials = `${three.repo}/../credentials.json`;
    await Deno.writeTextFile(
      credentials,
      JSON.stringify({ API_KEY: { value: SECRET, allowed_hosts: ["localhost:1"] } }),
      { mode: 0o600 },
    );
    const made = await create(one, "agent/a", "--credentials", credentials);
    assert.equal(made.code, 0, made.stderr);
    await agentShell(three);
  });

  await step(t, one, "a revoked machine ends everything, and nobody seals to it", async () => {
    const { code, stdout, stderr } = await one.cli(
      ...["machine", "revoke", "worker", "--reason", "stolen", "--yes"],
    );
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /change where it was issued:\n {2}API_KEY of agent\/a/);
    assert.ok(!stdout.includes(SECRET));
    // It is told by nobody but the homeserver, which knows its session no more.
    await eventually(
      "its daemon ended its agent",
      async () => await findProcess(three, isShell) === null,
      60_000,
    );
    const { worker } = await machines(one);
    assert.equal(worker!.state, "revoked");
    const refused = await create(one, "agent/b");
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stderr, /it was revoked at/);
    assert.deepEqual(await contradictions(one), []);
    const room = await roomId(one, "bureau/fleet/dev/machine");
    const server = one.homeserver.serverName;
    const subject = `bureau/fleet/dev/machine/worker:${server}`;
    const path = [room, "state", "m.bureau.credential_revocation", subject];
    const said = await matrix<Record<string, unknown>>(
      one,
      `rooms/${path.map(encodeURIComponent).join("/")}`,
    );
    assert.deepEqual(
      [said["credential_keys"], said["reason"], said["account_deactivated"]],
      [[`@bureau/fleet/dev/agent/a:${server} API_KEY`], "stolen", true],
    );
  });

  await step(t, one, "what it knew opens nothing", async () => {
    const bootstrap = JSON.parse(
      await Deno.readTextFile(`${three.stateDir}/operator/machine-session.json`),
    );
    const who = await fetch(`${bootstrap.homeserver_url}/_matrix/client/v3/account/whoami`, {
      headers: { authorization: `Bearer ${bootstrap.access_token}` },
    });
    await who.body?.cancel();
    assert.equal(who.status, 401);
    const { password } = JSON.parse(
      await Deno.readTextFile(`${three.stateDir}/operator/machine-account.json`),
    );
    const login = await fetch(`${bootstrap.homeserver_url}/_matrix/client/v3/login`, {
      method: "POST",
      body: JSON.stringify({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: "bureau/fleet/dev/machine/worker" },
        password,
      }),
    });
    await login.body?.cancel();
    assert.equal(login.status, 403);
  });
}
