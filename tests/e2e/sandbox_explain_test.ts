// SPDX-License-Identifier: Apache-2.0

/** `bureau sandbox explain` on a real dev box: what it says is what the agent has. */
import assert from "node:assert/strict";
import { withBureau } from "./harness.ts";

Deno.test("sandbox explain says what an agent and a template see, without starting anything", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);

    const agent = await bureau.cli("sandbox", "explain", "agent/scribe");
    assert.equal(agent.code, 0, agent.stderr);
    assert.match(agent.stdout, /^ {2}\/workspace: \/\S+ of this machine, read-only$/m);
    assert.match(agent.stdout, /^ {2}\/opt\/agent: \/\S+ of this machine, read-only$/m);
    assert.match(agent.stdout, /^ {2}none but a loopback of its own/m);
    assert.match(agent.stdout, /can't read: timestamp$/m);
    assert.doesNotMatch(agent.stdout, /NOT ISOLATED|WRITABLE/);

    const template = await bureau.cli("sandbox", "explain", "bureau/template:scribe");
    assert.equal(template.code, 0, template.stderr);
    assert.match(template.stdout, /^ {2}\/workspace: \$\{WORKSPACE\} of this machine, read-only$/m);
    const given = ["--var", `WORKSPACE=${bureau.stateDir}/workspaces/none`];
    const missing = await bureau.cli("sandbox", "explain", "bureau/template:scribe", ...given);
    assert.match(missing.stderr, /none" does not exist/);
    const outside = ["--var", "WORKSPACE=/etc"];
    const refused = await bureau.cli("sandbox", "explain", "bureau/template:scribe", ...outside);
    assert.match(refused.stderr, /in none of this machine's bind roots/);

    const json = JSON.parse(
      (await bureau.cli("sandbox", "explain", "agent/scribe", "--json")).stdout,
    );
    assert.equal(json.plan.isolation, "standard");
    assert.ok(
      json.plan.mounts.every((mount: { mode?: string }) => mount.mode !== "rw"),
      "nothing is writable",
    );
    const unknown = await bureau.cli("sandbox", "explain", "agent/nobody");
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /not assigned here/);
  });
});
