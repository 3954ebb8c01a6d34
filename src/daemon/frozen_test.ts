// SPDX-License-Identifier: Apache-2.0

/** A frozen sandbox: who may freeze, and where it is seen. */
import assert from "node:assert/strict";
import { SECRET } from "../homeserver/_process.ts";
import { HttpApiError } from "../lib/http/mod.ts";
import type { Template } from "../lib/schema/mod.ts";
import { registerWithSharedSecret } from "../messaging/mod.ts";
import { Bench, FLEET, until } from "./bench_test.ts";

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

Deno.test("usage is told to whoever may see an agent; only operators may freeze, thaw and kill", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  const account = (user: string) =>
    registerWithSharedSecret({ homeserverUrl: b.setup.homeserver.url }, {
      user,
      password: "p",
    }, SECRET);
  const [own, other] = await Promise.all([
    account(`${FLEET}/agent/a`),
    account(`${FLEET}/agent/b`),
  ]);
  for (const name of ["agent/a", "agent/b"]) {
    await b.assign(name, template);
    await until(async () => (await b.status(name))?.["phase"] === "running", name);
  }
  const call = async (what: "usage" | "freeze" | "thaw" | "kill", token?: string) => {
    const client = b.client(token);
    try {
      return await client.call(what, { params: { principal: "agent/a" } });
    } finally {
      client.close();
    }
  };
  const mine = own.access_token;
  assert.equal((await call("usage") as { pids: number }).pids, 2);
  assert.equal((await call("usage", mine) as { pids: number }).pids, 2);
  await assert.rejects(call("usage", "wrong"), { code: "unauthenticated" });
  for (const what of ["freeze", "thaw", "kill"] as const) {
    // It may see itself; that is not enough, and who may not see it learns nothing.
    await assert.rejects(call(what, mine), { code: "forbidden", status: 403 });
    await assert.rejects(call(what, other.access_token), { code: "not-found", status: 404 });
  }
  await assert.rejects(call("usage", other.access_token), { code: "not-found" });
  assert.equal((await b.view("agent/a")).frozen, undefined);
  // Control: an operator may.
  assert.deepEqual(await call("freeze"), { frozen: true });
  assert.equal((await call("usage") as { frozen: boolean }).frozen, true);
});
