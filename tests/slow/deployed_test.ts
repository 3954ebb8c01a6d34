// SPDX-License-Identifier: Apache-2.0

/**
 * deploy/compose for real, without its containers: its Synapse on its Postgres, limits and all, is enough for Bureau; its
 * coturn relays for whom the homeserver gave a credential; its backup comes back.
 */
import assert from "node:assert/strict";
import { eventually, run, skip, withBureau } from "../e2e/harness.ts";
import { type Deployed, openDeployedSynapse, TURN_HOST } from "../homeserver/deployed.ts";
import { request } from "../homeserver/http.ts";
import { registerWithToken } from "../homeserver/registration.ts";
import { startRelay } from "../homeserver/turn.ts";

async function relays(t: Deno.TestContext, { url, registrationToken, dir }: Deployed) {
  const caller = await registerWithToken(url, "caller", registrationToken!);
  const { body } = await request(url, "GET", "voip/turnServer", { token: caller.token });
  assert.deepEqual(body.uris, ["udp", "tcp"].map((by) => `turn:${TURN_HOST}:3478?transport=${by}`));
  const opened = await startRelay(`${dir}/site/turnserver.conf`);
  if ("reason" in opened) return await skip(t, opened.reason);
  await using relay = opened;
  const { username, password } = body;
  const outside = await relay.ask(username, password, "198.51.100.7");
  assert.match(outside, /Received relay addr: 203\.0\.113\.7:49/, outside);
  assert.doesNotMatch(outside, /Forbidden/);
  // Neither this machine nor its neighbours through the relay, and nobody without a credential.
  for (const peer of ["127.0.0.1", "10.0.0.1", "169.254.169.254"]) {
    assert.match(await relay.ask(username, password, peer), /error 403 \(Forbidden IP\)/, peer);
  }
  assert.doesNotMatch(await relay.ask(username, "made up", "198.51.100.7"), /Received relay addr/);
}

/** The commands of deploy/compose/README.md, without `docker compose exec postgres`. */
async function comesBack({ url, registrationToken, dir, postgres, restart }: Deployed) {
  const writer = await registerWithToken(url, "writer", registrationToken!);
  const call = async (method: string, path: string, body?: unknown) => {
    const reply = await request(url, method, path, { token: writer.token, body });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body;
  };
  const { room_id } = await call("POST", "createRoom", { name: "kept" });
  const libpq = async (program: string, ...args: string[]) => {
    const env = Object.entries({ ...postgres.env, PGPASSFILE: `${dir}/secrets/pgpass` })
      .concat([["PGHOST", "postgres"]]).map((pair) => pair.join("="));
    const done = await run("env", [...env, `${postgres.bin}/${program}`, ...args]);
    assert.equal(done.code, 0, done.stderr);
  };
  const dump = `${dir}/synapse.dump`;
  await libpq("pg_dump", "--format=custom", `--file=${dump}`, "synapse");
  await call("PUT", `rooms/${room_id}/state/m.room.name`, { name: "later than the backup" });
  await restart(() => libpq("pg_restore", "--clean", "--if-exists", "--dbname=synapse", dump));
  const { name } = await call("GET", `rooms/${room_id}/state/m.room.name`);
  assert.equal(name, "kept");
}

/** docs/guide/production-homeserver.md, "Move there from the embedded one". */
function moves({ url, dir }: Deployed) {
  return withBureau(async (bureau) => {
    const well = async (...args: string[]) => {
      const done = await (args[0] === "up" ? bureau.up(...args.slice(1)) : bureau.cli(...args));
      assert.equal(done.code, 0, done.stdout + done.stderr);
      return done.stdout;
    };
    const file = `${bureau.repo}-reviewer.yaml`;
    const reference = "bureau/template:reviewer";
    const parts = ["inherits: ['bureau/template:agent']", "command: [/bin/sleep, '1000']"];
    await Deno.writeTextFile(file, ["description: Reads", ...parts, ""].join("\n"));
    await well("up", "--detach");
    const digest = (await well("template", "push", file, reference)).split(/\s/)[1];
    await Deno.writeTextFile(file, await well("template", "show", reference));
    await bureau.down();
    const token = `${dir}/secrets/registration-token`;
    await well("up", "--detach", "--homeserver", url, "--registration-token-file", token);
    assert.doesNotMatch(await well("template", "list"), /:reviewer/);
    assert.equal((await well("template", "push", file, reference)).split(/\s/)[1], digest);
    await well("agent", "create", "agent/second", "--template", reference);
    await eventually(
      "the agent runs again",
      async () => /agent\/second\s+running/.test((await bureau.cli("status")).stdout),
      90_000,
    );
  });
}

Deno.test("deploy/compose: a Bureau moves to its Synapse, its coturn relays, its backup comes back", async (t) => {
  const opened = await openDeployedSynapse();
  if ("reason" in opened) return await skip(t, opened.reason);
  try {
    await t.step("a Bureau moves to it from its embedded homeserver", () => moves(opened));
    await t.step(
      "a relay for whom the homeserver knows, to nobody's private address",
      async (t) => {
        await relays(t, opened);
      },
    );
    await t.step("what was dumped is there again", () => comesBack(opened));
  } finally {
    await opened.close();
  }
});
