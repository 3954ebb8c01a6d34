// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { makeSelfMade, pinOf } from "../certificate/mod.ts";
import { systemClock } from "../clock.ts";
import { HandClock } from "../testing/hand_clock.ts";
import { connectTls, type HostPort } from "./mod.ts";
import { lively } from "./lively.ts";
import { pinnedAt } from "./pin.ts";

const NAME = "test.bureau.internal";

Deno.test("pinnedAt() finds the authority of a pin, whose key alone connectTls() takes", async () => {
  const identity = await makeSelfMade(NAME, systemClock);
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: identity.certificate,
    key: identity.key,
  });
  const at = { hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
  const serving = (async () => {
    for await (const conn of listener) {
      void conn.write(new TextEncoder().encode("hello")).catch(() => {}).finally(() =>
        conn.close()
      );
    }
  })().catch(() => {});
  try {
    const pinned = await pinnedAt(at, await pinOf(identity.authority), NAME);
    assert.equal(pinned.authority.trim(), identity.authority.trim());
    using conn = await connectTls(at, pinned);
    assert.equal(await new Response(conn.readable).text(), "hello");
    const other = await makeSelfMade(NAME, systemClock);
    await assert.rejects(pinnedAt(at, await pinOf(other.authority), NAME), { code: "wrong-pin" });
    await assert.rejects(connectTls(at, { authority: other.authority, name: NAME }));
    await assert.rejects(connectTls(at, { ...pinned, name: "another.internal" }));
  } finally {
    listener.close();
    await serving;
  }
  const nobody: HostPort = at;
  await assert.rejects(pinnedAt(nobody, "sha256:0", NAME), { code: "no-answer" });
});

Deno.test("lively() ends a stream on which nothing came for its time, and no other", async () => {
  const clock = new HandClock();
  const came = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  const closed = Promise.withResolvers<void>();
  let isOpen = true;
  const stream = lively(
    {
      readable: came.readable,
      writable: new WritableStream(),
      close() {
        isOpen = false;
        closed.resolve();
      },
    },
    1_000,
    clock,
  );
  const reader = stream.readable.getReader();
  const writer = came.writable.getWriter();
  for (let n = 0; n < 5; n++) {
    clock.advance(500);
    await Promise.all([writer.write(new Uint8Array(1)), reader.read()]);
    await clock.next();
    assert.equal(isOpen, true);
  }
  const next = clock.next();
  await closed.promise;
  // It sleeps no more: somebody else does.
  void clock.sleep(1);
  await next;
});
