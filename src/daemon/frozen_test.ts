// SPDX-License-Identifier: Apache-2.0

/** A frozen sandbox: who may freeze, and where it is seen. */
import assert from "node:assert/strict";
import { HttpApiError } from "../lib/http/mod.ts";
import type { Template } from "../lib/schema/mod.ts";
import { Bench, until } from "./bench_test.ts";

const template: Template = { description: "t", command: ["/bin/true"] };

Deno.test("an operator freezes and thaws; what shows agents shows it, also a daemon started later", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  await b.assign("agent/a", template);
  await until(async () => (await b.status("agent/a"))?.["phase"] === "running", "running");
  const frozen = async () => (await b.view("agent/a")).frozen;
  assert.equal(await frozen(), undefined);
  const call = async (what: "freeze" | "thaw", token?: string) => {
    const client = b.client(token);
    try {
      return await client.call(what, { params: { principal: "agent/a" } });
    } finally {
      client.close();
    }
  };
  assert.deepEqual(await call("freeze"), { frozen: true });
  await until(async () => await frozen() === true, "shown as frozen");
  // Idempotent, and whoever has no account gets nowhere.
  assert.deepEqual(await call("freeze"), { frozen: true });
  await assert.rejects(
    call("thaw", "nobody's token"),
    (thrown) => thrown instanceof HttpApiError && thrown.status === 401,
  );

  await b.stopDaemon();
  await b.startDaemon();
  // It answers before it has read its assignments.
  await until(async () => await frozen().catch(() => null) === true, "the next daemon shows it");
  const killer = b.client();
  assert.deepEqual(await call("thaw"), { frozen: false });
  await until(async () => await frozen() === undefined, "shown as thawed");
  const started = b.launcher.creates.length;
  assert.deepEqual(await killer.call("kill", { params: { principal: "agent/a" } }), {
    killed: true,
  });
  killer.close();
  await until(() => b.launcher.creates.length > started, "its restart policy brings it back");
});
