// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { Router } from "./router.ts";

function router(): Router<string> {
  const routes = new Router<string>();
  routes.add("GET", "/rooms/:room/state", "all");
  routes.add("GET", "/rooms/:room/state/:type", "empty");
  routes.add("GET", "/rooms/:room/state/:type/*key", "key");
  routes.add("PUT", "/rooms/:room/send/:type/:txn", "send");
  return routes;
}

Deno.test("Router.match() gives the state key back, however it was written", () => {
  const key = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => text.isWellFormed());
  fc.assert(fc.property(key, fc.boolean(), (text, raw) => {
    const encoded = raw
      ? text.split("/").map(encodeURIComponent).join("/")
      : encodeURIComponent(text);
    assert.deepEqual(router().match("GET", `/rooms/!r%3Ax/state/m.x/${encoded}`), {
      handler: "key",
      params: { room: "!r:x", type: "m.x", key: text },
    });
  }));
});

Deno.test("Router.match() never throws and never matches without a method", () => {
  const part = fc.oneof(
    fc.constantFrom("rooms", "state", "send", "", "%", "%zz", "..", "__proto__"),
    fc.string(),
  );
  fc.assert(fc.property(fc.array(part), fc.constantFrom("GET", "PUT", "TRACE"), (parts, method) => {
    const match = router().match(method, `/${parts.join("/")}`);
    if (typeof match === "object") assert.notEqual(method, "TRACE");
  }));
});

Deno.test("Router.match() tells a wrong method from an unknown path", () => {
  assert.equal(router().match("DELETE", "/rooms/a/state"), "wrong-method");
  assert.equal(router().match("GET", "/nope"), undefined);
  assert.equal(router().match("GET", "/rooms//state"), undefined);
});

Deno.test("Router.add() throws when a route is there already", () => {
  assert.throws(() => router().add("GET", "/rooms/:room/state", "again"), /there already/);
});
