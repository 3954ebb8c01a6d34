// SPDX-License-Identifier: Apache-2.0

/** A recording while it is written. It is read as fast as the follower takes it, and no faster. */
import { followRecordings, readCast } from "../../lib/recording/mod.ts";
import type { RecordingNews } from "./api.ts";

/** Between two looks at a file that does not grow. */
const LOOK_MS = 250;

export interface Following {
  /** Whether the follower still may. */
  readonly mayGoOn: () => boolean;
  readonly ends: AbortSignal;
}

export function followedEvents(dir: string, { mayGoOn, ends }: Following): Response {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ends]);
  const pause = () => {
    if (!mayGoOn()) stop.abort();
    return new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, LOOK_MS);
      signal.addEventListener("abort", end);
    });
  };
  const news = newsOf(dir, signal, pause);
  const encoder = new TextEncoder();
  let isFirst = true;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (isFirst) {
        isFirst = false;
        // A first comment flushes the headers.
        return controller.enqueue(encoder.encode(":\n\n"));
      }
      const { done, value } = await news.next();
      if (done || !mayGoOn()) {
        stop.abort();
        controller.close();
        return;
      }
      controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`));
    },
    async cancel() {
      stop.abort();
      await news.return(undefined);
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

async function* newsOf(
  dir: string,
  signal: AbortSignal,
  pause: () => Promise<void>,
): AsyncGenerator<RecordingNews, undefined> {
  const parts = followRecordings(dir, signal, pause);
  let next = await parts.next();
  while (!next.done) {
    const { id } = next.value;
    const left = (async function* (): AsyncGenerator<Uint8Array> {
      while (!next.done && next.value.id === id) {
        yield next.value.bytes;
        next = await parts.next();
      }
    })();
    const cast = await readCast(left).catch(() => null);
    if (cast !== null) {
      const { cols, rows, startedAt: started } = cast.header;
      yield { type: "recording", id, cols, rows, started };
      for await (const { at, code, data } of cast.events) {
        yield { type: "event", at: started + at, code, data };
      }
    }
    // After a line that is damaged.
    while (!next.done && next.value.id === id) next = await parts.next();
  }
  return undefined;
}
