// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../clock.ts";
import type { ByteStream } from "./stream.ts";

/**
 * A stream that ends when nothing came for so long: for an other end that says something now and then, as a WebSocket's
 * server does with its pings. A machine that lost its power closes nothing.
 */
export function lively(stream: ByteStream, quietMs: number, clock: Clock): ByteStream {
  const over = new AbortController();
  let heard = clock.now();
  const close = () => {
    over.abort();
    stream.close();
  };
  void (async () => {
    for (;;) {
      const left = heard + quietMs - clock.now();
      if (left <= 0) return close();
      await clock.sleep(left, over.signal);
    }
  })().catch(() => {});
  const hear = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      heard = clock.now();
      controller.enqueue(chunk);
    },
  });
  return { readable: stream.readable.pipeThrough(hear), writable: stream.writable, close };
}
