// SPDX-License-Identifier: Apache-2.0

/** A required role that nobody fills, with the real daemon and homeserver; only the launcher keeps books. */
import assert from "node:assert/strict";
import { configPowerLevels, EventType, type Template } from "../../lib/schema/mod.ts";
import { Bench, FLEET, SERVER_NAME, until } from "../bench_test.ts";
import { requiredRoles, wantsOf } from "./required.ts";

const WITHIN_MS = 60_000;
const template: Template = {
  description: "t",
  command: ["/bin/true"],
  required_services: ["echo", "ticket"],
};
const plain: Template = { description: "p", command: ["/bin/true"] };

const bind = (b: Bench, role: string, room = b.setup.configRoom) =>
  b.operator.putState(room, EventType.serviceBinding, role, {
    version: 1,
    principal: `@${FLEET}/service/${role}:${SERVER_NAME}`,
  });
const unbind = (b: Bench, role: string) =>
  b.operator.putState(b.setup.configRoom, EventType.serviceBinding, role, {});
const viewed = (b: Bench, account: string, phase: string, message: RegExp | null = null) =>
  until(
    async () => {
      // Nobody is known before the first sync.
      const view = await b.view(account).catch(() => null);
      if (view?.phase !== phase) return null;
      return message === null || message.test(view.message ?? "") ? view : null;
    },
    `${account} is ${phase}, ${message}`,
    WITHIN_MS,
  );

Deno.test("a principal starts when every role that it needs is filled, and not before", async (t) => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.publish("p", plain);
  const { launcher } = b;
  const of = (account: string) => launcher.cells.has(`${FLEET}/${account}`);
  await b.startDaemon();
  await b.assign("agent/a", template);
  await b.assign("agent/plain", plain, { template: "bureau/template:p" });
  await viewed(b, "agent/plain", "running");

  await t.step("it waits, names the roles, and says what to do", async () => {
    const view = await viewed(b, "agent/a", "waiting", /^waiting for the roles echo, ticket: no/);
    assert.equal(view.hint, "bind one: bureau service bind echo NAME");
    assert.equal(view.desired, "running");
    assert.ok(!of("agent/a"));
    await until(
      async () => (await b.status("agent/a"))?.["phase"] === "waiting",
      "published",
      WITHIN_MS,
    );
  });

  await t.step("with one of them bound it waits for the other", async () => {
    await bind(b, "echo");
    await viewed(b, "agent/a", "waiting", /^waiting for the role ticket: no service fills it$/);
    assert.ok(!of("agent/a"));
  });

  await t.step("a binding by somebody who may not say it fills nothing", async () => {
    const { machine, configRoom, operatorId } = b.setup;
    const levels = configPowerLevels([operatorId], machine);
    await b.operator.putState(configRoom, "m.room.power_levels", "", {
      ...levels,
      events: { ...levels.events, [EventType.serviceBinding]: 0 },
    });
    const guest = await b.guest("guest", configRoom);
    await guest.putState(configRoom, EventType.serviceBinding, "ticket", {
      version: 1,
      principal: `@${FLEET}/service/mallory:${SERVER_NAME}`,
    });
    // In order: when the later one is known, so is this.
    await b.assign("agent/later", plain, { template: "bureau/template:p" });
    await viewed(b, "agent/later", "running");
    await viewed(b, "agent/a", "waiting", /role ticket/);
    assert.ok(!of("agent/a"));
  });

  await t.step("with both it starts", async () => {
    await bind(b, "ticket");
    await viewed(b, "agent/a", "running");
    assert.equal((await b.view("agent/a")).message, null);
  });

  await t.step("what runs goes on without its service, and starts anew only with it", async () => {
    await unbind(b, "ticket");
    await b.assign("agent/after", template);
    await viewed(b, "agent/after", "waiting", /role ticket/);
    assert.equal((await b.view("agent/a")).phase, "running");
    assert.deepEqual(launcher.destroys, []);
    launcher.exit(`${FLEET}/agent/a`, 1);
    await viewed(b, "agent/a", "waiting", /role ticket/);
    const before = launcher.creates.length;
    await bind(b, "ticket");
    await viewed(b, "agent/a", "running");
    await viewed(b, "agent/after", "running");
    assert.equal(launcher.creates.length, before + 2);
  });

  await t.step("the room that it works in may fill the role", async () => {
    await unbind(b, "ticket");
    const room = await b.operator.createRoom({
      invite: [b.setup.machine],
      power_level_content_override: configPowerLevels([b.setup.operatorId], b.setup.machine),
    });
    await b.assign("agent/there", template, { room });
    await viewed(b, "agent/there", "waiting", /role ticket/);
    await b.machine().join(room);
    await bind(b, "ticket", room);
    await viewed(b, "agent/there", "running");
  });

  await t.step("an assignment may need other roles than its template, or none", async () => {
    await b.assign("agent/none", template, { required_services_override: [] });
    await viewed(b, "agent/none", "running");
    assert.deepEqual(requiredRoles(template, { required_services_override: ["b", "b", "../x"] }), [
      "b",
    ]);
  });
});

Deno.test("an optional role is wanted and never required, whatever overrides the others", () => {
  const both: Template = { ...template, optional_services: ["agent", "echo", "../x"] };
  assert.deepEqual(wantsOf(both, null), {
    roles: ["echo", "ticket"],
    optional: ["agent"],
    service: null,
  });
  assert.deepEqual(requiredRoles(both, null), ["echo", "ticket"]);
  const alone: Template = { ...plain, optional_services: ["agent"] };
  assert.deepEqual(wantsOf(alone, null), { roles: [], optional: ["agent"], service: null });
  assert.equal(wantsOf(plain, null), null);
});
