// SPDX-License-Identifier: Apache-2.0

/** An exchange whose answer is read for its usage, where it is a model's. */
import type { IncomingResponse, OutgoingRequest, Upstream } from "../upstream.ts";
import type { BudgetMeter } from "./meter.ts";
import { UsageReader } from "./usage.ts";

type Body = IncomingResponse["body"];

/** @throws {ProxyError} as `Upstream.exchange`, and when a budget is used up */
export async function meteredExchange(
  meter: BudgetMeter,
  upstream: Upstream,
  request: OutgoingRequest,
  signal: AbortSignal,
): Promise<IncomingResponse> {
  if (meter.require(request.method, request.target) === null) {
    return await upstream.exchange(request, signal);
  }
  // An answer that is compressed could not be read.
  const headers = request.headers.replace(/^accept-encoding:.*\r\n/gim, "") +
    "Accept-Encoding: identity\r\n";
  const response = await upstream.exchange({ ...request, headers }, signal);
  // What was refused took nothing.
  if (response.head.status < 200 || response.head.status >= 300) return response;
  const type = response.head.headers.find(([name]) => name === "content-type")?.[1] ?? "";
  const { body } = request;
  const sent = body instanceof Uint8Array ? body.length : request.length ?? 0;
  const reader = new UsageReader(type, sent);
  return { ...response, body: read(response.body, reader, () => meter.add(reader.end())) };
}

/** Passes every piece on as it comes; its end, its breaking and its reader's leaving are counted once. */
function read(body: Body, reader: UsageReader, onEnd: () => void): Body {
  if (body instanceof Uint8Array) {
    reader.push(body);
    onEnd();
    return body;
  }
  const source = body.getReader();
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    onEnd();
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await source.read();
        if (done) {
          end();
          return controller.close();
        }
        reader.push(value);
        controller.enqueue(value);
      } catch (thrown) {
        end();
        controller.error(thrown);
      }
    },
    async cancel(reason) {
      end();
      await source.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
