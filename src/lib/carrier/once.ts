// SPDX-License-Identifier: Apache-2.0

/** One stream as what `fetch` and `WebSocket` can use: they know Unix sockets, and no other way in. */
import { type ByteStream, join, streamOf } from "./stream.ts";

export interface OnceClient {
  readonly client: Deno.HttpClient;
  /** Ends the stream. */
  close(): void;
}

/** @param path of a socket where nobody else may connect; for as long as the one connection takes to come */
export function onceClient(path: string, stream: ByteStream): OnceClient {
  const listener = Deno.listen({ transport: "unix", path });
  const forget = () => {
    try {
      listener.close();
      Deno.removeSync(path);
    } catch {
      // Done already.
    }
  };
  void (async () => {
    try {
      const conn = await listener.accept();
      forget();
      await join(stream, streamOf(conn));
    } catch {
      // Nobody came.
    } finally {
      stream.close();
    }
  })();
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path },
    poolMaxIdlePerHost: 0,
  });
  return {
    client,
    close() {
      forget();
      client.close();
      stream.close();
    },
  };
}
