// SPDX-License-Identifier: Apache-2.0

/** A machine's door for workers of parents elsewhere: TLS, one bearer token, a placement for each connection. */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import { sha256Hex } from "../../lib/canonical/mod.ts";
import type { Target } from "../../lib/authority.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PLACE_PATH, type PlacementHost, servePlacement } from "../place/mod.ts";

/** A parent that vanished is noticed within this, and its worker ended. */
const PING_SECONDS = 60;

export interface ResidentOptions {
  readonly listen: Target;
  readonly identity: { readonly certificate: string; readonly key: string };
  /** Hexadecimal. */
  readonly tokenSha256: string;
  /** For one connection; called once it is known who it is. */
  readonly host: (peer: string) => PlacementHost;
  readonly log: Logger;
}

export interface ResidentServer {
  readonly port: number;
  /** Ends all placements. */
  stop(): Promise<void>;
}

/** @throws when it can't listen there */
export function serveResident(options: ResidentOptions): ResidentServer {
  const { listen, identity, tokenSha256, host, log } = options;
  const open = new Map<WebSocket, Promise<void>>();
  const server = Deno.serve({
    hostname: listen.host,
    port: listen.port,
    cert: identity.certificate,
    key: identity.key,
    onListen() {},
    onError(thrown) {
      log.error("a request failed", { why: messageOf(thrown) });
      return refusal(500, "internal", "it failed");
    },
  }, async (request, { remoteAddr }) => {
    const peer = remoteAddr.hostname;
    if (!sameSecret(await sha256Hex(bearerOf(request)), tokenSha256)) {
      log.warn("a stranger was turned away", { peer });
      return refusal(401, "unauthorized", "it does not know this token");
    }
    if (new URL(request.url).pathname !== PLACE_PATH) {
      return refusal(404, "not-found", "there is nothing here");
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(426, "not-a-websocket", "it takes a WebSocket");
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: PING_SECONDS });
    const placement = servePlacement(socket, host(peer))
      .catch((thrown) => log.error("a placement failed", { why: messageOf(thrown) }))
      .finally(() => open.delete(socket));
    open.set(socket, placement);
    return response;
  });
  return {
    port: (server.addr as Deno.NetAddr).port,
    async stop() {
      const ending = [...open.values()];
      for (const socket of open.keys()) socket.close(1001, "its host ends");
      await Promise.all([server.shutdown(), ...ending]);
    },
  };
}

function refusal(status: number, code: string, why: string): Response {
  const message = `Cannot place a worker: ${why}`;
  return Response.json({ error: { code, message } }, { status });
}
