// SPDX-License-Identifier: Apache-2.0

/** An agent without a sandbox: only by the operator's written exception, and nobody can overlook it. */
import assert from "node:assert/strict";
import { type Bureau, eventually, withBureau } from "./harness.ts";
import { matrix, messages, roomId } from "./matrix.ts";

async function notices(bureau: Bureau, config: string): Promise<string[]> {
  return (await messages(bureau, config)).map(({ content }) => String(content["body"]));
}

Deno.test("passthrough needs the policy's exception, works end to end, and is told everywhere", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
    await matrix(bureau, `rooms/${templates}/state/m.bureau.template/open`, {
      method: "PUT",
      body: {
        description: "An agent without a sandbox",
        inherits: ["bureau/template:passthrough"],
        command: ["/bin/sh", "-c", "exec sleep 1000"],
      },
    });
    const made = await bureau.cli(
      "agent",
      "create",
      "agent/open",
      "--template",
      "bureau/template:open",
    );
    assert.equal(made.code, 0, made.stderr);
    const show = async () => (await bureau.cli("agent", "show", "agent/open")).stdout;
    const refused = await eventually(
      "it is refused",
      async () => /failed/.test(await show()) ? await show() : null,
      30_000,
    );
    assert.match(refused, /makes no exception for the principal/);
    assert.match(refused, /launcher's policy file \(passthrough\)/);

    const path = `${bureau.stateDir}/operator/policy.json`;
    const policy = JSON.parse(await Deno.readTextFile(path));
    policy.passthrough.push("bureau/fleet/dev/agent/open");
    await Deno.writeTextFile(path, JSON.stringify(policy));
    // Signed anew, so that it is tried at once.
    const again = ["--template", "bureau/template:open", "--payload", '{"again":1}'];
    const changed = await bureau.cli("agent", "create", "agent/open", ...again);
    assert.equal(changed.code, 0, changed.stderr);
    const shown = await eventually(
      "it runs",
      async () => /state +running/.test(await show()) ? await show() : null,
      60_000,
    );
    assert.match(shown, /^isolation +NONE: it has the launcher's rights/m);
    const open = /agent\/open .*NOT ISOLATED/;
    assert.match((await bureau.cli("agent", "list")).stdout, open);
    assert.match((await bureau.cli("status")).stdout, open);
    // Control: the isolated agent beside it is not told of so.
    assert.doesNotMatch((await bureau.cli("agent", "list")).stdout, /agent\/scribe .*NOT ISOLATED/);
    const explained = await bureau.cli("sandbox", "explain", "agent/open");
    assert.match(explained.stdout, /^NOT ISOLATED, by an exception/m);

    const session = JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`));
    const config = await roomId(bureau, session.machine);
    const told = await eventually(
      "the room is told",
      async () => {
        const all = (await notices(bureau, config)).filter((text) =>
          /WITHOUT ISOLATION/.test(text)
        );
        return all.length > 0 ? all : null;
      },
      30_000,
    );
    assert.equal(told.length, 1);
    assert.match(told[0]!, /^agent\/open runs WITHOUT ISOLATION: /);
  });
});
