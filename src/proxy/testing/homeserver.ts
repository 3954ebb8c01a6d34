// SPDX-License-Identifier: Apache-2.0

/** A real homeserver with accounts, and proxies that speak for them. */
import { Server, type User } from "../../homeserver/_process.ts";
import { createProxyClient, type ProxyClient } from "../../lib/proxyclient/mod.ts";
import type { Denial, Grant } from "../../lib/schema/events.ts";
import { type Harness, withProxy } from "./harness.ts";

export interface Policy {
  readonly grants: readonly Grant[];
  readonly denials?: readonly Denial[];
}

/** Runs `body` with a proxy for `user`, and a client on its socket. */
export async function withAccount(
  server: Server,
  user: User,
  { grants, denials = [] }: Policy,
  body: (client: ProxyClient, harness: Harness) => Promise<void>,
): Promise<void> {
  await withProxy({
    matrix: { homeserver_url: server.url, user_id: user.id, access_token: user.token },
    grants: [...grants],
    denials: [...denials],
  }, async (harness) => {
    using client = createProxyClient({ socket: harness.sockets.agent });
    await body(client, harness);
  });
}

export interface Relay extends AsyncDisposable {
  readonly url: string;
}

/** What the bridge is inside a sandbox: a port on loopback that is the socket. */
export function relay(socket: string): Relay {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const pair = async (client: Deno.Conn) => {
    let other: Deno.Conn;
    try {
      other = await Deno.connect({ transport: "unix", path: socket });
    } catch {
      return close(client);
    }
    open.add(client).add(other);
    await Promise.allSettled([
      client.readable.pipeTo(other.writable),
      other.readable.pipeTo(client.writable),
    ]);
    for (const one of [client, other]) {
      open.delete(one);
      close(one);
    }
  };
  const serving = (async () => {
    for await (const client of listener) void pair(client);
  })().catch(() => {});
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const one of open) close(one);
      await serving;
    },
  };
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
