// SPDX-License-Identifier: Apache-2.0

/** What `/http/<service>/` keeps of HTTP, through a real upstream and with a credential injected. */
import assert from "node:assert/strict";
import type { BoundService } from "./api.ts";
import { withProxy } from "./testing/harness.ts";

const EVENTS = 200;
const STREAMS = 200;

function service(port: number): Record<string, BoundService> {
  return {
    up: {
      upstream: `http://127.0.0.1:${port}`,
      inject_headers: { "X-Api-Key": "s3cret-api-key" },
      strip_headers: [],
    },
  };
}

async function withUpstream(
  handler: Deno.ServeHandler,
  body: (
    get: (path: string, init?: RequestInit) => Promise<Response>,
    socket: string,
  ) => Promise<void>,
): Promise<void> {
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  try {
    await withProxy(
      { services: service(upstream.addr.port) },
      ({ get, sockets }) => body(get, sockets.agent),
    );
  } finally {
    await upstream.shutdown();
  }
}

Deno.test("forward() hands each event on before the next is written", async () => {
  // The upstream writes an event only when the one before has arrived: any buffering stops it.
  let arrived = Promise.withResolvers<void>();
  const events = async function* () {
    for (let i = 0; i < EVENTS; i++) {
      arrived = Promise.withResolvers<void>();
      yield new TextEncoder().encode(`data: ${i}\n\n`);
      await arrived.promise;
    }
  };
  await withUpstream(
    () =>
      new Response(ReadableStream.from(events()), {
        headers: { "content-type": "text/event-stream" },
      }),
    async (get) => {
      const response = await get("/http/up/events");
      let text = "";
      let seen = 0;
      for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        const complete = text.split("\n\n").length - 1;
        if (complete > seen) arrived.resolve();
        seen = complete;
      }
      assert.equal(seen, EVENTS);
    },
  );
});

Deno.test("forward() passes ranges and their answers on", async () => {
  await withUpstream((request) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
    return new Response("0123456789".slice(Number(from), Number(to) + 1), {
      status: 206,
      headers: { "content-range": `bytes ${from}-${to}/10`, "accept-ranges": "bytes" },
    });
  }, async (get) => {
    const response = await get("/http/up/file", { headers: { range: "bytes=2-5" } });
    assert.equal(response.status, 206);
    assert.equal(response.headers.get("content-range"), "bytes 2-5/10");
    assert.equal(await response.text(), "2345");
  });
});

Deno.test("forward() serves 200 streams at once, all open before any ends", async () => {
  let open = 0;
  const all = Promise.withResolvers<void>();
  const pieces = async function* () {
    yield new TextEncoder().encode("begin ");
    if (++open === STREAMS) all.resolve();
    await all.promise;
    yield new TextEncoder().encode("end");
  };
  // Raw connections: many at once by fetch() on a Unix socket wait for seconds, also without a proxy.
  const read = async (path: string) => {
    const connection = await Deno.connect({ transport: "unix", path });
    const asked = "GET /http/up/s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    await connection.write(new TextEncoder().encode(asked));
    return await new Response(connection.readable).text();
  };
  await withUpstream(
    () => new Response(ReadableStream.from(pieces())),
    async (_get, socket) => {
      const texts = await Promise.all(Array.from({ length: STREAMS }, () => read(socket)));
      assert.ok(texts.every((text) => text.includes("begin ") && text.includes("end")));
      assert.equal(open, STREAMS);
    },
  );
});

Deno.test("forward() carries a chunked body both ways at the same time", async () => {
  await withUpstream((request) => new Response(request.body), async (get) => {
    const sent = Promise.withResolvers<void>();
    const body = ReadableStream.from(async function* () {
      yield new TextEncoder().encode("first ");
      await sent.promise;
      yield new TextEncoder().encode("second");
    }());
    const response = await get("/http/up/echo", { method: "POST", body });
    let text = "";
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece;
      // The answer's first piece is here while the request is still being sent.
      if (text.length >= "first ".length) sent.resolve();
    }
    assert.equal(text, "first second");
  });
});
