// SPDX-License-Identifier: Apache-2.0

/** `bureau matrix check` finds what was broken in the rooms, and nothing in rooms that are right. */
import assert from "node:assert/strict";
import { type Bureau, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Finding {
  readonly code: string;
  readonly room: string;
  readonly subject: string;
  readonly fixed: boolean;
}

async function put(bureau: Bureau, room: string, type: string, key: string, body: unknown) {
  const path = [room, "state", type, key].map(encodeURIComponent).join("/");
  await matrix(bureau, `rooms/${path}`, { method: "PUT", body });
}

async function get(bureau: Bureau, room: string, type: string, key = "") {
  const path = [room, "state", type, key].map(encodeURIComponent).join("/");
  return await matrix<Record<string, unknown>>(bureau, `rooms/${path}`);
}

Deno.test("matrix check finds what contradicts itself and mends what is safe", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const check = async (...flags: string[]) => {
      const { code, stdout, stderr } = await bureau.cli("matrix", "check", ...flags, "--json");
      assert.ok(code <= 1, stdout + stderr);
      const { findings } = JSON.parse(stdout) as { findings: Finding[] };
      return { code, findings, told: findings.map((one) => `${one.code} ${one.subject}`).sort() };
    };
    const { server_name: server } = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
    );
    const status = await bureau.json<{ daemon: { machine: string } }>("status");
    const machine = status.daemon.machine.slice(1).split(":")[0]!;
    const config = await roomId(bureau, machine);
    const scribe = `bureau/fleet/dev/agent/scribe:${server}`;

    await step(t, bureau, "rooms as first boot makes them are right", async () => {
      const done = await bureau.cli("matrix", "check");
      assert.equal(done.code, 0, done.stdout + done.stderr);
      assert.match(done.stdout, /nothing contradicts itself/);
    });

    const system = await roomId(bureau, "bureau/system");
    const service = await roomId(bureau, "bureau/fleet/dev/service");
    await step(t, bureau, "what is safe to mend is found, and mended on demand", async () => {
      const levels = await get(bureau, system, "m.room.power_levels");
      await put(bureau, system, "m.room.power_levels", "", { ...levels, state_default: 0 });
      await put(bureau, service, "m.room.join_rules", "", { join_rule: "public" });
      await put(bureau, await roomId(bureau, "bureau"), "m.space.child", system, {});
      await put(bureau, service, "m.bureau.service", `bureau/fleet/dev/service/x:${server}`, {
        principal: `@bureau/fleet/dev/service/x:${server}`,
        machine: `@bureau/fleet/dev/machine/gone:${server}`,
      });
      // An agent that may write its own rights.
      const room = await roomId(bureau, "bureau/fleet/dev/agent/scribe");
      const open = await get(bureau, room, "m.room.power_levels");
      const events = { ...open["events"] as object, "m.bureau.authorization": 0 };
      await put(bureau, room, "m.room.power_levels", "", { ...open, events });
      const wanted = [
        `dead-service bureau/fleet/dev/service/x:${server}`,
        `not-in-space #bureau/system:${server}`,
        `open-room #bureau/fleet/dev/service:${server}`,
        `power-levels #bureau/fleet/dev/agent/scribe:${server}`,
        `power-levels #bureau/system:${server}`,
      ];
      const found = await check();
      assert.deepEqual([found.code, found.told], [1, wanted]);
      const mended = await check("--fix");
      assert.deepEqual([mended.code, mended.told], [0, wanted]);
      assert.ok(mended.findings.every(({ fixed }) => fixed));
      assert.deepEqual((await get(bureau, system, "m.room.power_levels"))["state_default"], 100);
      const after = await check();
      assert.deepEqual([after.code, after.told], [0, []]);
    });

    await step(t, bureau, "what takes a decision is found and left as it is", async () => {
      const templates = await roomId(bureau, "bureau/template");
      const content = { description: "x", inherits: ["bureau/template:agent"] };
      for (const name of ["one", "two"]) {
        await put(bureau, templates, "m.bureau.template", name, content);
        const done = await bureau.cli(
          ...["agent", "create", `agent/${name}`, "--template", `bureau/template:${name}`],
        );
        assert.equal(done.code, 0, done.stderr);
      }
      assert.deepEqual((await check()).told, []);
      await put(bureau, templates, "m.bureau.template", "one", { ...content, bridge: true });
      await put(bureau, templates, "m.bureau.template", "two", {
        ...content,
        inherits: ["bureau/template:none"],
      });
      const sealed = await get(bureau, config, "m.bureau.credentials", scribe);
      const nobody = `bureau/fleet/dev/agent/nobody:${server}`;
      await put(bureau, config, "m.bureau.credentials", nobody, {
        ...sealed,
        principal: `@${nobody}`,
      });
      const assignment = await get(bureau, config, "m.bureau.assignment", scribe);
      await put(bureau, config, "m.bureau.assignment", scribe, {
        ...assignment,
        command_override: ["/bin/sh"],
      });
      const machines = await roomId(bureau, "bureau/fleet/dev/machine");
      const other = `bureau/fleet/dev/machine/other:${server}`;
      await put(bureau, machines, "m.bureau.machine_info", other, { hostname: "other" });
      await put(bureau, system, "m.bureau.assignment", scribe, assignment);
      await put(bureau, system, "m.bureau.token_signing_key", other, {
        public_key: "0a".repeat(32),
        machine: `@${other}`,
      });
      await put(bureau, system, "m.bureau.temporal_grant", "t1", { principal: `@${scribe}` });
      const levels = await get(bureau, templates, "m.room.power_levels");
      const users = { ...levels["users"] as object, [`@mallory:${server}`]: 100 };
      await put(bureau, templates, "m.room.power_levels", "", { ...levels, users });
      const made = await matrix<{ room_id: string }>(bureau, "createRoom", {
        method: "POST",
        body: { initial_state: [{ type: "m.bureau.report", state_key: "", content: { a: 1 } }] },
      });
      const wanted = [
        `bad-signature ${scribe}`,
        `digest-mismatch bureau/fleet/dev/agent/one:${server}`,
        "malformed t1",
        `no-template bureau/fleet/dev/agent/two:${server}`,
        `orphan-credentials ${nobody}`,
        `stranger-power #bureau/template:${server}`,
        `unknown-room ${made.room_id}`,
        `wrong-room ${scribe}`,
        `wrong-sender ${other}`,
        `wrong-sender ${other}`,
      ];
      const found = await check("--fix");
      assert.deepEqual([found.code, found.told], [1, wanted]);
      assert.ok(found.findings.every(({ fixed }) => !fixed));
    });

    await step(
      t,
      bureau,
      "one question to a room's state is answered by the exit status",
      async () => {
        const ask = async (...args: string[]) =>
          (await bureau.cli("matrix", "state", "check", ...args)).code;
        const agent = [
          "--room",
          "#bureau/template",
          "--type",
          "m.bureau.template",
          "--key",
          "agent",
        ];
        const filled = [...agent, "--field", "environment_variables.BUREAU_PROXY_SOCKET"];
        const socket = "/run/bureau/proxy.sock";
        assert.equal(await ask(...filled, "--equals", socket), 0);
        assert.equal(await ask(...filled, "--equals", "other"), 1);
        assert.equal(await ask(...filled, "--not-equals", socket), 1);
        assert.equal(await ask(...filled, "--in", "a", "--in", socket), 0);
        assert.equal(await ask(...filled, "--not-in", "a", "--not-in", "b"), 0);
        assert.equal(await ask(...agent, "--field", "no.such", "--not-equals", "x"), 1);
        assert.equal(await ask(...agent, "--field", "description"), 2);
        const nowhere = ["--room", "#no-such-room", "--type", "t", "--field", "f", "--equals", "v"];
        assert.equal(await ask(...nowhere), 2);
        const down = await bureau.down();
        assert.equal(down.code, 0, down.stderr);
        assert.equal(await ask(...filled, "--equals", socket), 2);
      },
    );
  });
});
