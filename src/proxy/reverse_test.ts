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

/** Reads until `wanted` is in what came. */
async function readUntil(connection: Deno.Conn, wanted: string): Promise<string> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!text.includes(wanted)) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error(`ended before ${JSON.stringify(wanted)}: ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

const send = async (connection: Deno.Conn, text: string) => {
  await connection.write(new TextEncoder().encode(text));
};

Deno.test("forward() answers Expect: 100-continue before it has the body, and doesn't pass it on", async () => {
  const expected: (string | null)[] = [];
  await withUpstream(async (request) => {
    expected.push(request.headers.get("expect"));
    return new Response(`got ${await request.text()}`);
  }, async (_get, socket) => {
    using connection = await Deno.connect({ transport: "unix", path: socket });
    await send(
      connection,
      "POST /http/up/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    );
    assert.match(await readUntil(connection, "\r\n\r\n"), /^HTTP\/1\.1 100 Continue\r\n/);
    await send(connection, "body");
    assert.match(await readUntil(connection, "got body"), /^HTTP\/1\.1 200 OK\r\n/);
    assert.deepEqual(expected, [null]);
  });
});

Deno.test("trailers of either side are dropped, and the connections live on", async () => {
  // A server that writes trailers, which Deno's own can't.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  const received: string[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      connections++;
      (async () => {
        using held = connection;
        for (let count = 0; count < 2; count++) {
          received.push(await readUntil(held, "0\r\n\r\n"));
          await send(
            held,
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
              "4\r\ntext\r\n0\r\nX-Sum: s3cret-api-key\r\n\r\n",
          );
        }
      })().catch(() => {});
    }
  })();
  const { port } = listener.addr;
  await withProxy({ services: service(port) }, async ({ sockets }) => {
    using connection = await Deno.connect({ transport: "unix", path: sockets.agent });
    for (let count = 0; count < 2; count++) {
      await send(
        connection,
        "POST /http/up/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sent\r\n\r\n" +
          "4\r\nsent\r\n0\r\nX-Sent: 1\r\n\r\n",
      );
      const answer = await readUntil(connection, "0\r\n\r\n");
      assert.match(answer, /\r\n4\r\ntext\r\n0\r\n\r\n$/);
      assert.doesNotMatch(answer, /x-sum|s3cret/i);
    }
  });
  listener.close();
  await serving;
  assert.equal(connections, 1);
  for (const text of received) {
    assert.match(text, /4\r\nsent\r\n0\r\n\r\n$/);
    assert.doesNotMatch(text, /x-sent/i);
  }
});
