// SPDX-License-Identifier: Apache-2.0

/** A loopback port that leads to a homeserver's Unix socket: into a network that this process is not in. */

export interface Forward {
  readonly url: string;
  close(): Promise<void>;
}

export function forward(socket: string): Forward {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    // A homeserver notes where its clients are, which a Unix socket does not tell.
    headers.set("x-forwarded-for", "127.0.0.1");
    try {
      return await fetch(`http://homeserver${pathname}${search}`, {
        client,
        method: request.method,
        headers,
        body: request.body,
        redirect: "manual",
      });
    } catch (thrown) {
      return new Response(String(thrown), { status: 502 });
    }
  });
  return {
    url: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`,
    async close() {
      client.close();
      await server.shutdown();
    },
  };
}
