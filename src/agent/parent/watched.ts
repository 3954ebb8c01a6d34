// SPDX-License-Identifier: Apache-2.0

/** One run at a connection, under its parent's own watch: it ends, whatever the other end does. */
import type { Clock } from "../../lib/clock.ts";
import type { Limits } from "../provision/spec.ts";
import type { RunOutcome, RunRequest, WorkerConnection } from "./connection.ts";
import { Watch } from "./watch.ts";
import type { RunOptions } from "./worker.ts";

export interface WatchedOptions {
  readonly limits: Limits;
  readonly clock: Clock | undefined;
  readonly silenceSeconds: number | undefined;
}

/** A run that is `cancelled` or `timeout` may go on at the other end: the caller ends that. */
export async function runWatched(
  connection: WorkerConnection,
  request: RunRequest,
  handlers: RunOptions,
  options: WatchedOptions,
): Promise<RunOutcome> {
  const watch = new Watch(options);
  const cancelled = Promise.withResolvers<RunOutcome>();
  const onAbort = () => {
    connection.cancel();
    // A parent that cancelled waits for nobody; what does not hear is ended.
    cancelled.resolve({ status: "cancelled" });
  };
  handlers.signal?.addEventListener("abort", onAbort, { once: true });
  if (handlers.signal?.aborted) onAbort();
  try {
    const run = connection.run(request, {
      ...handlers,
      onEvent: (event) => {
        watch.hear(event);
        handlers.onEvent?.(event);
      },
      // Whoever waits for a person is not silent.
      onApproval: async (body, over) => {
        const answer = await handlers.onApproval?.(body, over) ?? false;
        watch.hear(null);
        return answer;
      },
    });
    handlers.onStart?.({
      message: (text) => connection.message(text),
      hear: () => watch.hear(null),
    });
    return await Promise.race([
      run,
      cancelled.promise,
      watch.expired.then((error): RunOutcome => ({ status: "timeout", error })),
    ]);
  } finally {
    watch.end();
    handlers.signal?.removeEventListener("abort", onAbort);
  }
}
