// SPDX-License-Identifier: Apache-2.0

/**
 * The side that has the workers: takes one spec over a WebSocket, has a worker for it, and passes runs to that worker
 * until one of the three is gone. Who is at the other end, and what they may have, is decided by whoever calls this.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Worker } from "../parent/worker.ts";
import { MAX_SPEC_BYTES, parseSpec, type ProvisionSpec, SpecError } from "../provision/mod.ts";
import { Session } from "../worker/session.ts";
import { answerFrame, END_FRAME, HEARD_FRAME, type PlaceAnswer, readPlace } from "./frames.ts";
import { relayTo } from "./relay.ts";

/** How long the other end may take to say what it wants. */
const SPEC_MS = 30_000;
/** A close frame's text has 123 bytes. */
const MAX_REASON = 120;

export interface PlacementHost {
  /** @throws {BureauError} what the other end is told; of anything else it learns that there was something */
  start(spec: ProvisionSpec): Promise<Worker>;
  /** Nobody is at the other end any more, and the worker could be used again. Absent: it is ended. */
  keep?(worker: Worker): Promise<void> | void;
  /** It was ended, and its name may be another's. */
  ended?(worker: Worker): void;
  readonly log?: Logger;
}

/**
 * @param socket may still be connecting
 * @returns resolves when all is over, and the worker ended or kept
 */
export async function servePlacement(
  socket: WebSocket,
  host: PlacementHost,
  clock: Clock = systemClock,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<string | null>();
  socket.onmessage = ({ data }) => asked.resolve(readPlace(data));
  socket.onerror = () => {};
  socket.onclose = () => {
    closed.resolve();
    asked.resolve(null);
  };
  const inTime = new AbortController();
  // One that vanishes in mid-handshake neither opens nor closes (Deno 2.9).
  clock.sleep(SPEC_MS, inTime.signal).then(() => asked.resolve(null), () => {});
  const text = await asked.promise;
  inTime.abort();
  if (text === null) return close(socket, "it did not begin with a spec");
  const worker = await startWorker(text, host);
  if (!("run" in worker)) {
    answer(socket, worker);
    return close(socket, worker.code);
  }
  let isEnded = false;
  try {
    if (socket.readyState !== WebSocket.OPEN) return;
    const session = new Session(socket, { executor: relayTo(worker), clock });
    socket.onmessage = ({ data }) => {
      if (data === HEARD_FRAME) return;
      if (data !== END_FRAME) return session.receive(data);
      isEnded = true;
      closed.resolve();
    };
    answer(socket, {
      kind: "placed",
      agent_id: worker.record.agent_id,
      executor: worker.spec.executor.kind,
      enforces: [...worker.record.enforces],
    });
    void worker.exited.then(async ({ how }) => {
      // The end of its last run comes first.
      await session.settled();
      close(socket, `the worker ended ${how}`);
      closed.resolve();
    });
    await closed.promise;
    await session.close();
  } finally {
    close(socket, "");
    if (!isEnded && worker.isReusable && host.keep !== undefined) await host.keep(worker);
    else {
      await worker.end();
      host.ended?.(worker);
    }
  }
}

async function startWorker(text: string, host: PlacementHost): Promise<Worker | Refusal> {
  try {
    if (new TextEncoder().encode(text).length > MAX_SPEC_BYTES) {
      throw new SpecError("spec-oversized", `it is larger than ${MAX_SPEC_BYTES} bytes`);
    }
    return await host.start(parseSpec(text));
  } catch (thrown) {
    if (!(thrown instanceof BureauError)) {
      host.log?.error("a worker was not started", { why: messageOf(thrown) });
      return { kind: "refused", code: "internal", message: "its host failed" };
    }
    const { code, message, hint } = thrown;
    return { kind: "refused", code, message, ...(hint === undefined ? {} : { hint }) };
  }
}

type Refusal = Extract<PlaceAnswer, { kind: "refused" }>;

function answer(socket: WebSocket, frame: PlaceAnswer): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(answerFrame(frame));
}

function close(socket: WebSocket, reason: string): void {
  const bytes = new TextEncoder().encode(reason).subarray(0, MAX_REASON);
  try {
    socket.close(1000, new TextDecoder().decode(bytes, { stream: true }));
  } catch {
    // Closing or closed already.
  }
}
