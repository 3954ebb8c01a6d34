// SPDX-License-Identifier: Apache-2.0

/** A payload that is replaced under an agent that runs. */
import assert from "node:assert/strict";
import { HttpApiError } from "../lib/http/mod.ts";
import type { Template } from "../lib/schema/events.ts";
import { type Bed, withLauncher } from "./testing/harness.ts";

/** Writes what it finds at each SIGHUP into `hup1`, `hup2`, … */
const LISTENS =
  "n=0; trap 'n=$((n+1)); cat /run/bureau/payload.json >hup.new; mv hup.new hup$n' HUP; ";
const FOREVER = "while :; do sleep 0.02 & wait $!; done";

const asked = (template: Template, payload: Record<string, unknown>) => ({
  template,
  assignment: { payload },
});

async function agents(bed: Bed): Promise<number[]> {
  return (await bed.processes()).filter(({ command }) => /^\/bin\/sh -c n=0/.test(command))
    .map(({ pid }) => pid);
}

Deno.test("a new payload reaches an agent that runs, which is told when it listens", async () => {
  await withLauncher(async (bed) => {
    const script =
      `n=0; cat /run/bureau/payload.json >first; until [ -e go ]; do sleep 0.02; done; ${
        LISTENS.slice(4)
      } touch listening; ${FOREVER}`;
    const template: Template = {
      ...await bed.template("told", script),
      default_payload: { task: "none", keep: 1 },
      reload: "sighup",
    };
    const first = await bed.create("told", await bed.request("told", asked(template, {})));
    assert.equal(await bed.read("told", "first"), '{"task":"none","keep":1}');
    const before = await agents(bed);
    assert.ok(before.length > 0);
    // It would be ended by a SIGHUP now.
    const second = await bed.create(
      "told",
      await bed.request("told", asked(template, { task: "a" })),
    );
    assert.equal(second.started_at, first.started_at);
    assert.ok(second.issued_at > first.issued_at);
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/told/go`, "");
    assert.equal(await bed.read("told", "hup1"), '{"task":"a","keep":1}');
    await bed.create("told", await bed.request("told", asked(template, { task: "b" })));
    assert.equal(await bed.read("told", "hup2"), '{"task":"b","keep":1}');
    // The same again is no news; neither are other rights.
    const same = asked(template, { task: "b" });
    await bed.create("told", await bed.request("told", same));
    await bed.create("told", await bed.request("told", asked(template, { task: "c" })));
    assert.equal(await bed.read("told", "hup3"), '{"task":"c","keep":1}');
    assert.equal((await bed.show("told")).phase, "running");
  });
});

Deno.test("an agent reads one payload or the other, never half of one (W-38)", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template(
      "whole",
      `while [ ! -e end ]; do x=$(cat /run/bureau/payload.json) || touch missing
       case $x in '{"fill":"'*'","end":'*'}') touch read ;; *) touch torn ;; esac; done; touch over; exec sleep 1000`,
    );
    const payload = (n: number) => ({ fill: "x".repeat(n % 2 === 0 ? 100 : 50_000), end: n });
    await bed.create("whole", await bed.request("whole", asked(template, payload(0))));
    await bed.read("whole", "read");
    for (let n = 1; n <= 40; n++) {
      await bed.create("whole", await bed.request("whole", asked(template, payload(n))));
    }
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/whole/end`, "");
    await bed.read("whole", "over");
    const names = [...Deno.readDirSync(`${bed.dir}/state/workspaces/whole`)].map(({ name }) =>
      name
    );
    assert.deepEqual(names.filter((name) => ["torn", "missing"].includes(name)), []);
    const inside = [...Deno.readDirSync(`${await bed.cell("whole")}/cell/contract`)];
    assert.deepEqual(inside.map(({ name }) => name).filter((name) => /payload/.test(name)), [
      "payload.json",
    ]);
  });
});

Deno.test("the next launcher goes on from the newest payload, and takes no older one", async () => {
  await withLauncher(async (bed) => {
    const template: Template = {
      ...await bed.template("kept", `${LISTENS}touch ready; ${FOREVER}`),
      reload: "sighup",
    };
    const old = await bed.request("kept", asked(template, { v: 1 }));
    const { started_at } = await bed.create("kept", old);
    await bed.read("kept", "ready");
    await bed.create("kept", await bed.request("kept", asked(template, { v: 2 })));
    assert.equal(await bed.read("kept", "hup1"), '{"v":2}');
    await bed.end("SIGKILL");
    // As if it had been killed before the payload was in its place.
    const file = `${await bed.cell("kept")}/cell/contract/payload.json`;
    await Deno.writeTextFile(file, '{"v":1}');
    await bed.start();
    assert.equal(await bed.read("kept", "hup2"), '{"v":2}');
    const adopted = await bed.show("kept");
    assert.deepEqual([adopted.phase, adopted.started_at], ["running", started_at]);
    await assert.rejects(
      bed.create("kept", old),
      (thrown) => thrown instanceof HttpApiError && thrown.code === "replayed",
    );
    assert.equal(await Deno.readTextFile(file), '{"v":2}');
  });
});
