// SPDX-License-Identifier: Apache-2.0

/** A second machine joins the fleet with a boot file, and the two leave each other alone. */
import assert from "node:assert/strict";
import {
  type Bureau,
  eventually,
  findProcess,
  freePort,
  processesOf,
  step,
  withBureau,
} from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

const WORKER = "bureau/fleet/dev/machine/worker";

interface Machine {
  readonly name: string;
  readonly state: string;
  readonly key: { readonly public_key: string } | null;
  readonly key_problem: string | null;
  readonly principals: readonly { principal: string; desired: string; phase: string | null }[];
}

async function machine(bureau: Bureau, name: string): Promise<Machine> {
  const { machines } = await bureau.json<{ machines: Machine[] }>("machine", "list");
  const found = machines.find((one) => one.name === name);
  assert.ok(found !== undefined, JSON.stringify(machines));
  return found;
}

async function publicKey(bureau: Bureau): Promise<string> {
  return (await Deno.readTextFile(`${bureau.stateDir}/launcher/machine-key.pub`)).trim();
}

/** The program of the one agent that `bureau` runs. */
async function agentShell(bureau: Bureau): Promise<number> {
  return await eventually(
    "its agent runs",
    () => findProcess(bureau, (line) => /^\/bin\/sh( -l)? $/.test(line)),
    60_000,
  );
}

async function isAlive(pid: number): Promise<boolean> {
  return await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
}

Deno.test("two machines on one box, under one homeserver", async (t) => {
  await withBureau((one) => withBureau((two) => scenario(t, one, two)));
});

async function scenario(t: Deno.TestContext, one: Bureau, two: Bureau): Promise<void> {
  const up = await one.up("--detach", "--no-agent");
  assert.equal(up.code, 0, up.stderr);
  const { boot_file: made } = await one.json<{ boot_file: string }>(
    ...["machine", "provision", "worker"],
  );
  const text = await Deno.readTextFile(made);
  const file = `${two.repo}/../boot.json`;
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  const boot = JSON.parse(text) as {
    one_time_password: string;
    challenge: string;
    homeserver_url: string;
  };

  await step(t, one, "a boot file is private, and says nothing of the operator's", async () => {
    assert.equal((await Deno.stat(made)).mode! & 0o777, 0o600);
    const operator = JSON.parse(await Deno.readTextFile(`${one.stateDir}/operator/session.json`));
    for (const secret of [operator.access_token, operator.password]) {
      assert.ok(!text.includes(secret));
    }
    assert.equal((await machine(one, "worker")).state, "provisioned");
    const agent = await one.cli("agent", "create", "agent/early", "--machine", "worker");
    assert.equal(agent.code, 1, agent.stderr);
    assert.match(agent.stderr, /Cannot seal credentials to "worker": it has published no key/);
  });

  await step(t, two, "a machine joins, with a key of its own that it proves to have", async () => {
    await Deno.mkdir(`${two.stateDir}/operator`, { recursive: true, mode: 0o700 });
    const config = `peer:\n  listen: 127.0.0.1:${freePort()}\n`;
    await Deno.writeTextFile(`${two.stateDir}/operator/bureau.yaml`, config, { mode: 0o600 });
    const joined = await two.up("--detach", "--join", file);
    assert.equal(joined.code, 0, joined.stderr);
    const worker = await machine(one, "worker");
    assert.deepEqual(
      [worker.state, worker.key?.public_key, worker.key_problem],
      ["ready", await publicKey(two), null],
    );
    assert.notEqual(await publicKey(one), await publicKey(two));
    const refused = await two.cli("agent", "list");
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /belongs to a fleet whose operator is/);
  });

  await step(t, two, "its boot file is worthless then", async () => {
    const login = await fetch(`${boot.homeserver_url}/_matrix/client/v3/login`, {
      method: "POST",
      body: JSON.stringify({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: WORKER },
        password: boot.one_time_password,
      }),
    });
    await login.body?.cancel();
    assert.equal(login.status, 403);
    await withBureau(async (third) => {
      const again = await third.up("--detach", "--no-agent", "--join", file);
      assert.equal(again.code, 1, again.stdout);
      assert.match(again.stderr, /refuses the boot file's password\n.*used before/);
    });
    const twice = await one.cli("machine", "provision", "worker");
    assert.equal(twice.code, 1, twice.stdout);
    assert.match(twice.stderr, /it has joined already/);
  });

  await step(t, one, "each runs what is assigned to it, and nothing else", async () => {
    for (const args of [["agent/a"], ["agent/b", "--machine", "worker"]]) {
      const made = await one.cli("agent", "create", ...args);
      assert.equal(made.code, 0, made.stderr);
    }
    await Promise.all([agentShell(one), agentShell(two)]);
    await eventually("both say so", async () => {
      const here = await one.json<{ principals: { principal: string }[] }>("agent", "list");
      assert.deepEqual(here.principals.map((each) => each.principal), [
        "bureau/fleet/dev/agent/a",
      ]);
      const there = await machine(one, "worker");
      const server = one.homeserver.serverName;
      assert.deepEqual(there.principals.map((each) => [each.principal, each.phase]), [
        [`@bureau/fleet/dev/agent/b:${server}`, "running"],
      ]);
      return true;
    });
    const both = await one.cli("agent", "create", "agent/b");
    assert.equal(both.code, 1, both.stdout);
    assert.match(both.stderr, /it is assigned to "worker"/);
  });

  await step(t, one, "what the other runs is watched from here", async () => {
    await eventually("its screen comes", async () => {
      const shown = await one.cli("observe", "agent/b@worker", "--dump");
      if (shown.code !== 0) throw new Error(shown.stderr);
      return shown.stdout.includes("$") || shown.stdout.includes("#");
    }, 60_000);
    const audit = await Deno.readTextFile(`${two.stateDir}/daemon/audit.jsonl`);
    assert.match(audit, /"action":"observe".*\(from /);
  });

  await step(t, one, "what is decided about an agent reaches it wherever it is", async () => {
    const pid = await agentShell(two);
    const payload = `${two.repo}/../payload.json`;
    await Deno.writeTextFile(payload, '{"n":1}');
    const credentials = `${two.repo}/../credentials.json`;
    await Deno.writeTextFile(
      credentials,
      JSON.stringify({ API_KEY: { value: "of-b", allowed_hosts: ["localhost:1"] } }),
      { mode: 0o600 },
    );
    for (
      const args of [
        ["egress", "allow", "agent/b", "example.org:443"],
        ["auth", "grant", "agent/b", "http/api", "--for", "1h"],
        ["agent", "payload", "agent/b", "--file", payload],
        ["credential", "provision", "agent/b", credentials],
      ]
    ) {
      const done = await one.cli(...args);
      assert.equal(done.code, 0, `${args.join(" ")}: ${done.stdout}${done.stderr}`);
    }
    const list = await one.json<{ credentials: { name: string; sealed_to: string[] }[] }>(
      ...["credential", "list", "agent/b"],
    );
    assert.deepEqual(list.credentials.map(({ name, sealed_to }) => [name, sealed_to]), [
      ["API_KEY", [`@${WORKER}:${one.homeserver.serverName}`]],
    ]);
    const config = await roomId(one, WORKER);
    const path = [config, "state", "m.bureau.assignment"].map(encodeURIComponent).join("/");
    const key = encodeURIComponent(`bureau/fleet/dev/agent/b:${one.homeserver.serverName}`);
    const assignment = await matrix<{ payload: unknown; egress: { allow: string[] } }>(
      one,
      `rooms/${path}/${key}`,
    );
    assert.deepEqual(assignment.payload, { n: 1 });
    assert.deepEqual(assignment.egress.allow, ["example.org:443"]);
    // None of it needs a restart, and the other machine's launcher takes every signature.
    await eventually("it goes on", async () => {
      const [there] = (await machine(one, "worker")).principals;
      return there?.phase === "running" && await agentShell(two) === pid;
    });
    const nobody = await one.cli("egress", "allow", "agent/nobody", "example.org:443");
    assert.equal(nobody.code, 5, nobody.stderr);
    assert.match(nobody.stderr, /no machine of the fleet has it/);
  });

  await step(t, two, "one that is killed takes nothing of the other's along", async () => {
    const [a, b] = await Promise.all([agentShell(one), agentShell(two)]);
    for (const pid of await processesOf(two)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // Gone with another.
      }
    }
    await eventually("the worker is dead", async () => !await isAlive(b));
    assert.ok(await isAlive(a));
    const status = await one.json<{ daemon: { principals: { phase: string }[] } }>("status");
    assert.deepEqual(status.daemon.principals.map(({ phase }) => phase), ["running"]);
    // From what it knows: the boot file is not asked for again.
    const again = await two.up("--detach");
    assert.equal(again.code, 0, again.stderr);
    assert.notEqual(await agentShell(two), b);
    assert.equal(await agentShell(one), a);
    assert.deepEqual((await machine(one, "worker")).key?.public_key, await publicKey(two));
  });

  await step(
    t,
    two,
    "no secret of the boot file or the session is in a log or an argument",
    async () => {
      const session = JSON.parse(
        await Deno.readTextFile(`${two.stateDir}/operator/machine-session.json`),
      );
      const account = JSON.parse(
        await Deno.readTextFile(`${two.stateDir}/operator/machine-account.json`),
      );
      const secrets = [
        boot.one_time_password,
        boot.challenge,
        session.access_token,
        account.password,
      ];
      const texts: string[] = [];
      for (const each of [one, two]) {
        for await (const { name } of Deno.readDir(`${each.stateDir}/logs`)) {
          texts.push(await Deno.readTextFile(`${each.stateDir}/logs/${name}`));
        }
        for (const pid of await processesOf(each)) {
          for (const file of ["cmdline", "environ"]) {
            texts.push(await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => ""));
          }
        }
      }
      assert.ok(texts.some((text) => text.includes("launcher")), "something was looked at");
      for (const secret of secrets) {
        assert.ok(secret.length >= 32);
        assert.ok(!texts.some((text) => text.includes(secret)));
      }
      for (const name of ["machine-session.json", "machine-account.json", "joined.json"]) {
        assert.equal((await Deno.stat(`${two.stateDir}/operator/${name}`)).mode! & 0o777, 0o600);
      }
    },
  );

  await step(t, one, "nothing is sealed to a key that comes without the proof", async () => {
    const room = await roomId(one, "bureau/fleet/dev/machine");
    const key = `${WORKER}:${one.homeserver.serverName}`;
    const path = [room, "state", "m.bureau.machine_key", key].map(encodeURIComponent).join("/");
    const right = await matrix<Record<string, unknown>>(one, `rooms/${path}`);
    // The operator's account here stands for a homeserver that writes in anybody's name.
    for (const body of [{ ...right, public_key: await publicKey(one) }, { ...right, proof: "" }]) {
      await matrix(one, `rooms/${path}`, { method: "PUT", body });
      const create = await one.cli("agent", "create", "agent/c", "--machine", "worker");
      assert.equal(create.code, 1, create.stdout);
      assert.match(create.stderr, /Cannot seal credentials to "worker": it/);
    }
    await matrix(one, `rooms/${path}`, { method: "PUT", body: right });
    assert.equal((await machine(one, "worker")).state, "ready");
  });

  await step(t, one, "what another machine runs is destroyed from here", async () => {
    const gone = await one.cli("agent", "destroy", "agent/b", "--machine", "worker", "--yes");
    assert.equal(gone.code, 0, gone.stderr);
    assert.match(gone.stdout, /agent\/b is gone/);
    assert.equal(await findProcess(two, (line) => /^\/bin\/sh( -l)? $/.test(line)), null);
    assert.deepEqual((await machine(one, "worker")).principals, []);
  });
}
