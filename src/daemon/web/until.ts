// SPDX-License-Identifier: Apache-2.0

/** An answer that goes on for long ends with the right to it. */
export function untilOver(response: Response, alive: () => boolean, everyMs: number): Response {
  const { body } = response;
  const streams = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  if (!streams || body === null) return response;
  const reader = body.getReader();
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => {
    clearInterval(timer);
    reader.cancel().catch(() => {});
  };
  const bounded = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if (alive()) return;
        stop();
        try {
          controller.close();
        } catch {
          // It has ended by itself.
        }
      }, everyMs);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      clearInterval(timer);
      try {
        controller.close();
      } catch {
        // Closed by us.
      }
    },
    cancel: stop,
  });
  return new Response(bounded, { status: response.status, headers: response.headers });
}
