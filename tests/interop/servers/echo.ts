// SPDX-License-Identifier: Apache-2.0

/**
 * A service for whoever has the key: tells what it received, gives and takes bytes of any number, redirects,
 * and echoes WebSocket messages.
 */
import { createHash } from "node:crypto";
import { type Authority, DOMAIN, type Served } from "./tls.ts";

export interface Echo extends Served {
  /** Requests that came with the key, and without. */
  readonly known: () => number;
  readonly strangers: () => number;
}

const PIECE = 256 * 1024;

/** The bytes of `/bytes/N`: the same for all, unlike any stretch of themselves. */
export function* bytes(count: number): Generator<Uint8Array<ArrayBuffer>> {
  const words = new Uint32Array(PIECE / 4);
  let state = 0x9e3779b9;
  for (let left = count; left > 0; left -= PIECE) {
    for (let at = 0; at < words.length; at++) {
      // Marsaglia, "Xorshift RNGs", 2003.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    yield new Uint8Array(words.buffer.slice(0, Math.min(left, PIECE)));
  }
}

export function hashOf(pieces: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

/** @param key wanted as `X-Api-Key`, as a bearer, or as `?key=` */
export function startEcho(
  key: string,
  authority: Authority | null,
  name = "echo",
): Echo {
  let known = 0;
  let strangers = 0;
  const tls = authority === null ? {} : { cert: authority.cert, key: authority.key };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls },
    async (request) => {
      const url = new URL(request.url);
      const given = request.headers.get("x-api-key") ?? url.searchParams.get("key") ??
        request.headers.get("authorization")?.replace(/^Bearer /, "");
      if (given !== key) {
        strangers++;
        await request.body?.cancel();
        return Response.json({ error: "who are you?" }, { status: 401 });
      }
      known++;
      return await answer(request, url);
    },
  );
  return {
    host: `${name}.${DOMAIN}`,
    port: server.addr.port,
    known: () => known,
    strangers: () => strangers,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function answer(request: Request, url: URL): Promise<Response> {
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") return echoFrames(request);
  const [, what, argument] = url.pathname.split("/");
  switch (what) {
    case "bytes":
      return new Response(ReadableStream.from(bytes(Number(argument))), {
        headers: { "content-length": argument! },
      });
    case "hash": {
      const hash = createHash("sha256");
      let length = 0;
      for await (const piece of request.body ?? []) {
        hash.update(piece);
        length += piece.length;
      }
      return Response.json({ sha256: hash.digest("hex"), length });
    }
    case "redirect":
      return new Response(null, {
        status: 302,
        headers: { location: url.searchParams.get("to") ?? "/seen" },
      });
    default:
      return Response.json({
        method: request.method,
        path: url.pathname,
        query: url.search,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      });
  }
}

function echoFrames(request: Request): Response {
  const key = request.headers.get("x-api-key") ??
    request.headers.get("authorization")?.replace(/^Bearer /, "");
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    // An upstream that says what it was given.
    if (data === "what is my key?") return socket.send(`your key is ${key}`);
    if (data === `my key is ${key}`) return socket.send("so it is!");
    socket.send(data);
  };
  return response;
}
