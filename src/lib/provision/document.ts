// SPDX-License-Identifier: Apache-2.0
import { concatBytes } from "../bytes.ts";

export interface DocumentLimits {
  readonly maxBytes: number;
  readonly deadlineMs: number;
  /** What is thrown when the stream does not end in time. */
  late(): Error;
  oversized(): Error;
}

/** All of a stream that brings one document with secrets in it: what was read on the way is overwritten. */
export async function readDocument(
  stream: ReadableStream<Uint8Array>,
  limits: DocumentLimits,
): Promise<Uint8Array> {
  const reader = stream.getReader();
  // Not setTimeout, whose first use costs 1.6 MB of private memory: some processes need no timer ever.
  const deadline = AbortSignal.timeout(limits.deadlineMs);
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const onLate = () => late.reject(limits.late());
  deadline.addEventListener("abort", onLate, { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return concatBytes(chunks, length);
      length += value.length;
      chunks.push(value);
      if (length > limits.maxBytes) throw limits.oversized();
    }
  } finally {
    deadline.removeEventListener("abort", onLate);
    for (const chunk of chunks) chunk.fill(0);
    reader.cancel().catch(() => {});
  }
}
