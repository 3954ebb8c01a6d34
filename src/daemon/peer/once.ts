// SPDX-License-Identifier: Apache-2.0

/** One stream to a peer as what `fetch` and `WebSocket` can use: they know Unix sockets, and no other way in. */
import { join, type PeerStream, streamOf } from "./transport.ts";

export interface OnceClient {
  readonly client: Deno.HttpClient;
  /** Ends the stream. */
  close(): void;
}

/** @param dir where nobody else may connect; for as long as the one connection takes to come */
export function onceClient(dir: string, stream: PeerStream): OnceClient {
  const path = `${dir}/peer-${crypto.getRandomValues(new Uint8Array(8)).toHex()}.sock`;
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
