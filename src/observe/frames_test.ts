// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { listSecrets } from "../lib/recording/mod.ts";
import { ObserveMay, ObserveUp, RelayBootstrap, RelaySecrets } from "./api.ts";
import { parseAttach, parseRelayBootstrap, parseRelayLine, parseUp } from "./frames.ts";

Deno.test("parseUp() takes exactly what the interface says, when given anything", () => {
  const side = fc.integer({ min: 1, max: 1000 });
  const good = fc.oneof(
    fc.record({ type: fc.constant("resize" as const), cols: side, rows: side }),
    fc.record({ type: fc.constant("ack" as const), bytes: fc.nat() }),
    fc.record({ type: fc.constantFrom("screen", "take", "release") }),
    fc.record({ type: fc.constant("may"), mode: fc.constantFrom("readonly", "readwrite") }),
  );
  fc.assert(fc.property(good, (frame) => {
    assert.deepEqual(parseUp(JSON.stringify(frame)), { ...frame });
  }));
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
    const frame = parseUp(text);
    if (frame !== null) {
      assert.ok(ObserveUp.safeParse(frame).success || ObserveMay.safeParse(frame).success);
    }
  }));
  for (
    const bad of [
      '{"type":"resize","cols":"80","rows":24}',
      '{"type":"resize","cols":80.5,"rows":24}',
      '{"type":"resize","cols":80,"rows":1001}',
      '{"type":"ack","bytes":-1}',
      '{"type":"exit"}',
      '{"type":"may","mode":"all"}',
      "[]",
      "null",
      "x",
    ]
  ) assert.equal(parseUp(bad), null, bad);
});

Deno.test("parseAttach() only watches, in 80 by 24, from now on, unless asked properly", () => {
  const parse = (query: string) => parseAttach(new URLSearchParams(query));
  assert.deepEqual(
    parse("mode=readwrite&cols=100&rows=30&stream=s&offset=7&since=60&who=%40a%3Ab&watcher=w"),
    {
      mode: "readwrite",
      size: { cols: 100, rows: 30 },
      resume: { stream: "s", offset: 7 },
      since: 60,
      who: "@a:b",
      watcher: "w",
    },
  );
  const fallback = {
    mode: "readonly",
    size: { cols: 80, rows: 24 },
    resume: null,
    since: null,
    who: "somebody",
    watcher: null,
  };
  for (
    const query of [
      ...["", "mode=READWRITE", "cols=1;id&rows=2", "cols=0&rows=0", "cols=1e3"],
      ...["stream=s", "offset=7", "stream=s&offset=-1", "stream=s&offset=9999999999999999"],
      ...["since=-1", "since=x", "who=", "watcher="],
    ]
  ) assert.deepEqual(parse(query), fallback, query);
});

Deno.test("parseRelayBootstrap() agrees with the schema, and refuses unsafe sessions", () => {
  const good = { version: 1, principal: "a/b", machine: "@m:s", session: "agent" };
  assert.deepEqual(parseRelayBootstrap(good), RelayBootstrap.parse(good));
  for (
    const change of [
      { version: 2 },
      { principal: "" },
      { machine: 1 },
      { session: "a b" },
      { session: "$(id)" },
      { session: "a'b" },
    ]
  ) assert.throws(() => parseRelayBootstrap({ ...good, ...change }), /is wrong/);
});

Deno.test("parseRelayLine() takes what is recorded, and other secrets later, when they are whole", async () => {
  const good = { version: 1, principal: "a/b", machine: "@m:s", session: "agent" };
  const secrets = JSON.parse(JSON.stringify(await listSecrets(["a secret value", "another one"])));
  const recording = { max_bytes: 1, keep_ms: 0, secrets };
  const whole = { ...good, recording };
  assert.deepEqual(parseRelayLine(whole), RelayBootstrap.parse(whole));
  assert.deepEqual(parseRelayLine({ secrets }), RelaySecrets.parse({ secrets }));
  for (
    const change of [
      { max_bytes: -1 },
      { keep_ms: 1.5 },
      { secrets: null },
      { secrets: { ...secrets, key: 1 } },
      { secrets: { ...secrets, pieces: [[7, 1, "short"]] } },
      { secrets: { ...secrets, pieces: [[64, 1, "long"]] } },
    ]
  ) {
    const line = { ...good, recording: { ...recording, ...change } };
    assert.throws(() => parseRelayLine(line), /is wrong/, JSON.stringify(change));
  }
});
