// SPDX-License-Identifier: Apache-2.0

/** `bureau matrix setup` makes what is missing and nothing twice; `matrix doctor` finds what is wrong. */
import assert from "node:assert/strict";
import { Server } from "../../src/homeserver/_process.ts";
import { type Bureau, EMBEDDED, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Diagnosis {
  readonly check: string;
  readonly severity: string;
  readonly message: string;
  readonly fixed?: boolean;
}

async function doctor(bureau: Bureau, ...flags: string[]) {
  const { code, stdout, stderr } = await bureau.cli("matrix", "doctor", "--json", ...flags);
  assert.ok(code <= 1, stdout + stderr);
  const { findings } = JSON.parse(stdout) as { findings: Diagnosis[] };
  return { code, findings, wrong: findings.filter(({ severity }) => severity !== "ok") };
}

async function state(bureau: Bureau, room: string, type: string, key = "", body?: unknown) {
  const path = [room, "state", type, key].map(encodeURIComponent).join("/");
  return await matrix<Record<string, unknown>>(
    bureau,
    `rooms/${path}`,
    body === undefined ? {} : { method: "PUT", body },
  );
}

Deno.test("matrix doctor and setup", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);

    await step(
      t,
      bureau,
      "a homeserver as up leaves it is healthy, and setup changes nothing",
      async () => {
        const { code, findings, wrong } = await doctor(bureau);
        // Elsewhere the operator is nobody's admin.
        const known = EMBEDDED ? [] : ["administration"];
        assert.deepEqual([code, wrong.map(({ check }) => check)], [0, known]);
        const tried = findings.map(({ check }) => check);
        assert.deepEqual(tried, [
          "homeserver.reachable",
          "homeserver.versions",
          "session",
          "machine-session",
          "registration",
          "strangers",
          "federation",
          "administration",
          "sync",
          "rooms",
          "machines",
          "credentials",
        ]);
        const setup = await bureau.json<{ changed: string[] }>("matrix", "setup");
        assert.deepEqual(setup.changed, []);
      },
    );

    await step(t, bureau, "what drifted is found with what mends it, and mended", async () => {
      const system = await roomId(bureau, "bureau/system");
      const levels = await state(bureau, system, "m.room.power_levels");
      await state(bureau, system, "m.room.power_levels", "", { ...levels, state_default: 0 });
      const text = await bureau.cli("matrix", "doctor");
      assert.equal(text.code, 1, text.stdout);
      assert.match(text.stdout, /error +rooms\.power-levels .*\n +bureau matrix doctor --fix/);
      const mended = await doctor(bureau, "--fix");
      assert.equal(mended.code, 0);
      assert.deepEqual(
        mended.wrong.filter(({ check }) => check !== "administration").map(({ check, fixed }) => [
          check,
          fixed,
        ]),
        [["rooms.power-levels", true]],
      );
      assert.deepEqual(await state(bureau, system, "m.room.power_levels"), levels);
    });

    await step(t, bureau, "setup makes a room and a template that are gone", async () => {
      const { server_name } = JSON.parse(
        await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
      );
      const alias = encodeURIComponent(`#bureau/fleet/dev/service:${server_name}`);
      await matrix(bureau, `directory/room/${alias}`, { method: "DELETE" });
      const setup = await bureau.json<{ changed: string[] }>("matrix", "setup");
      assert.deepEqual(setup.changed, ["bureau/fleet/dev/service"]);
      const again = await bureau.json<{ changed: string[] }>("matrix", "setup");
      assert.deepEqual(again.changed, []);
    });

    await step(
      t,
      bureau,
      "a lost session and a dead homeserver are said, and nothing after them",
      async () => {
        const file = `${bureau.stateDir}/operator/session.json`;
        const text = await Deno.readTextFile(file);
        const session = JSON.parse(text);
        await Deno.writeTextFile(file, JSON.stringify({ ...session, access_token: "gone" }));
        const lost = await doctor(bureau);
        assert.deepEqual([lost.code, lost.wrong.map(({ check }) => check)], [1, ["session"]]);
        await Deno.writeTextFile(file, text);
        if (!EMBEDDED) return;
        assert.equal((await bureau.down()).code, 0);
        const dead = await doctor(bureau);
        assert.deepEqual([dead.code, dead.findings.length], [1, 1]);
        assert.match(dead.findings[0]!.message, /does not answer/);
      },
    );
  });
});

Deno.test("matrix setup prepares a homeserver that knows nothing, for up to go on with", async (t) => {
  await using server = await Server.start();
  const token = (await server.register("root", true)).token;
  const made = await server.call("POST", "/_synapse/admin/v1/registration_tokens/new", token, {});
  await withBureau(async (bureau) => {
    const file = `${bureau.repo}/../token`;
    const setup = (value: string, ...more: string[]) => {
      Deno.writeTextFileSync(file, value, { mode: 0o600 });
      return bureau.cli(
        ...["matrix", "setup", "--homeserver", server.url, "--registration-token-file", file],
        ...more,
      );
    };

    await step(t, bureau, "not without its registration token", async () => {
      const without = await bureau.cli("matrix", "setup", "--homeserver", server.url);
      assert.equal(without.code, 2, without.stdout);
      assert.match(without.stderr, /--registration-token-file FILE/);
      const refused = await setup("no-such-token");
      assert.equal(refused.code, 4, refused.stdout + refused.stderr);
      assert.match(refused.stderr, /refuses the registration token/);
      assert.ok(!(refused.stdout + refused.stderr).includes("no-such-token"));
    });

    await step(t, bureau, "once, with everything", async () => {
      const first = await setup(made.body.token, "--json");
      assert.equal(first.code, 0, first.stdout + first.stderr);
      const { changed } = JSON.parse(first.stdout) as { changed: string[] };
      for (
        const name of [
          "bureau",
          "bureau/system",
          "bureau/fleet/dev/machine",
          "bureau/template:base",
        ]
      ) assert.ok(changed.includes(name), `${name}: ${changed}`);
      const second = await setup(made.body.token, "--json");
      assert.deepEqual(JSON.parse(second.stdout).changed, []);
      const elsewhere = await bureau.cli("matrix", "setup", "--homeserver", "http://127.0.0.1:9");
      assert.equal(elsewhere.code, 1, elsewhere.stdout);
      assert.match(elsewhere.stderr, /this state directory belongs to http/);
    });

    await step(t, bureau, "up goes on with it", async () => {
      const up = await bureau.up(
        ...["--detach", "--no-agent", "--homeserver", server.url],
        ...["--registration-token-file", file],
      );
      assert.equal(up.code, 0, up.stderr);
      const { code, wrong } = await doctor(bureau);
      assert.deepEqual([code, wrong.map(({ check }) => check)], [0, ["administration"]]);
    });
  });
});
