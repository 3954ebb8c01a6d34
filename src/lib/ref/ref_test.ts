// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  entityLocalpart,
  formatTemplateRef,
  isLocalpart,
  MAX_LOCALPART,
  parseEntity,
  parseLocalpart,
  parseRoomAlias,
  parseRoomId,
  parseServerName,
  parseStateKey,
  parseTemplateRef,
  parseUserId,
  principalHash,
  RefError,
  resolvePrincipal,
  roomAlias,
  socketBudget,
  stateKey,
  userId,
} from "./mod.ts";

const refused = (run: () => unknown, code?: string) =>
  assert.throws(run, (error) => error instanceof RefError && (!code || error.code === code));

const segment = fc.stringMatching(/^[a-z0-9_=-][a-z0-9._=-]{0,9}$/);
const localpart = fc.array(segment, { minLength: 1, maxLength: 6 }).map((list) => list.join("/"));
const server = fc.constantFrom("bureau.local", "bureau.local:8448", "[::1]:6167", "127.0.0.1:80");

Deno.test("parseLocalpart() refuses what could leave a directory when given a hostile name", () => {
  const bad = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/..",
    "../a",
    "a/.git",
    ".a",
    "A",
    "a b",
    "a\n",
    "a\0",
    "a:b",
    "@a",
    "a#b",
    "é",
    "a\\b",
    "a*",
    "x".repeat(MAX_LOCALPART + 1),
  ];
  for (const name of bad) refused(() => parseLocalpart(name), "bad-localpart");
  for (const name of ["a", "a.b/c_d=e-f", "-a", "x".repeat(MAX_LOCALPART)]) {
    assert.equal(parseLocalpart(name), name);
  }
});

Deno.test("isLocalpart() agrees with the grammar read word by word when names are random", () => {
  const plain = (text: string) =>
    text.length <= 84 &&
    text.split("/").every((part) => part !== "" && part[0] !== "." && /^[a-z0-9._=-]+$/.test(part));
  const text = fc.array(fc.constantFrom("a", "z", "0", ".", "_", "=", "-", "/", "A", ":", "\n"), {
    maxLength: 90,
  }).map((list) => list.join(""));
  fc.assert(
    fc.property(text, (t) => assert.equal(isLocalpart(t), plain(t))),
    { numRuns: 2000 },
  );
});

Deno.test("userId(), stateKey() and roomAlias() come back unchanged when read again", () => {
  fc.assert(fc.property(localpart, server, (l, s) => {
    assert.deepEqual(parseUserId(userId(l, s)), { userId: `@${l}:${s}`, localpart: l, server: s });
    assert.deepEqual(parseStateKey(stateKey(l, s)), parseUserId(userId(l, s)));
    assert.equal(stateKey(userId(l, s)), stateKey(l, s));
    assert.equal(parseRoomAlias(roomAlias(l, s)).localpart, l);
  }));
});

Deno.test("userId() gives two names to two principals when anything differs", () => {
  fc.assert(fc.property(localpart, server, localpart, server, (a, s, b, t) => {
    assert.equal(userId(a, s) === userId(b, t), a === b && s === t);
  }));
});

Deno.test("parseUserId() refuses when a part is missing or foreign", () => {
  for (const bad of ["", "@", "a:b", "@a", "@:b", "@a:", "@a:b c", "@a:b/c", "@A:b", "#a:b"]) {
    refused(() => parseUserId(bad));
  }
  for (const bad of ["", "a b", "a@b", "a#b", "a/b", "a\0", "ä"]) {
    refused(() => parseServerName(bad));
  }
  refused(() => parseStateKey("agent/scribe"));
  refused(() => parseStateKey("@agent/scribe:bureau.local"));
  refused(() => stateKey("agent/scribe"), "bad-state-key");
  refused(() => stateKey("@agent/scribe:a", "b"), "bad-state-key");
});

Deno.test("parseRoomId() takes ids with and without a server when they begin !", () => {
  assert.equal(parseRoomId("!abc:bureau.local"), "!abc:bureau.local");
  assert.equal(
    parseRoomId("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"),
    "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
  );
  for (const bad of ["", "!", "#a:b", "!a b", "!a\n"]) {
    refused(() => parseRoomId(bad), "bad-room-id");
  }
});

Deno.test("parseEntity() takes a full name apart when it lies in a fleet", () => {
  assert.deepEqual(parseEntity("bureau/fleet/dev/agent/code/scribe"), {
    localpart: "bureau/fleet/dev/agent/code/scribe",
    namespace: "bureau",
    fleet: "bureau/fleet/dev",
    fleetName: "dev",
    type: "agent",
    name: "code/scribe",
    account: "agent/code/scribe",
  });
  for (const bad of ["bureau/fleet/dev", "bureau/fleet/dev/agent", "bureau/fleets/dev/agent/a"]) {
    refused(() => parseEntity(bad), "bad-entity");
  }
});

Deno.test("entityLocalpart() is undone by parseEntity() when the whole is short enough", () => {
  fc.assert(fc.property(segment, segment, segment, localpart, (ns, fleet, type, name) => {
    const account = `${type}/${name}`;
    const whole = `${ns}/fleet/${fleet}/${account}`;
    if (whole.length > MAX_LOCALPART) {
      return refused(() => entityLocalpart(`${ns}/fleet/${fleet}`, account));
    }
    const made = entityLocalpart(`${ns}/fleet/${fleet}`, account);
    assert.equal(made, whole);
    assert.equal(parseEntity(made).account, account);
    assert.equal(resolvePrincipal(made, "other/fleet/x"), made);
    assert.equal(resolvePrincipal(`@${made}:s`, "other/fleet/x", "s"), made);
  }));
  refused(() => entityLocalpart("bureau/fleet/dev", "scribe"), "bad-entity");
  refused(() => entityLocalpart("bureau/dev", "agent/scribe"), "bad-fleet");
  refused(() => resolvePrincipal("@bureau/fleet/dev/agent/a:evil", "bureau/fleet/dev", "s"));
  assert.equal(resolvePrincipal("agent/a", "bureau/fleet/dev"), "bureau/fleet/dev/agent/a");
});

Deno.test("principalHash() is 16 hex characters of SHA-256 when given a localpart", async () => {
  // printf %s bureau/fleet/dev/agent/scribe | sha256sum
  assert.equal(await principalHash("bureau/fleet/dev/agent/scribe"), "ea310d705cfa92b1");
  assert.notEqual(await principalHash("a/b"), await principalHash("a-b"));
  await assert.rejects(principalHash("../x"), RefError);
});

Deno.test("parseTemplateRef() splits at the last colon when the server has a port", () => {
  assert.deepEqual(parseTemplateRef("bureau/template:base"), {
    room: "bureau/template",
    name: "base",
  });
  assert.deepEqual(parseTemplateRef("bureau/template@b.local:8448:base"), {
    room: "bureau/template",
    server: "b.local:8448",
    name: "base",
  });
  for (const bad of ["", ":", "a:", ":a", "a:b/c", "a:.b", "a@:b", "a@b@c:d", "a:..", "a"]) {
    refused(() => parseTemplateRef(bad));
  }
  fc.assert(fc.property(localpart, fc.option(server), segment, (room, s, name) => {
    const text = `${room}${s === null ? "" : `@${s}`}:${name}`;
    assert.equal(formatTemplateRef(parseTemplateRef(text)), text);
  }));
});

Deno.test("socketBudget() refuses a run directory when its longest socket passes 107 bytes", () => {
  const tail = "/p/0123456789abcdef/observe/relay.sock".length;
  assert.equal(socketBudget("/" + "r".repeat(107 - tail - 1)), 0);
  refused(() => socketBudget("/" + "r".repeat(107 - tail)), "run-dir-too-long");
  refused(() => socketBudget("/" + "é".repeat(40)), "run-dir-too-long");
});
