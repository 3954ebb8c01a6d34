// SPDX-License-Identifier: Apache-2.0

/** A worker that another process holds: a host on this machine, or a resident one on another. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import { type RunOutcome, type RunRequest, WorkerConnection } from "../parent/connection.ts";
import { runWatched } from "../parent/watched.ts";
import { refuseUnenforced, type RunOptions, type Worker } from "../parent/worker.ts";
import {
  completeSpec,
  type ProvisionInput,
  type ProvisionSpec,
  writeSpec,
} from "../provision/mod.ts";
import { END_FRAME, HEARD_FRAME, type PlacedRecord, placeFrame, readAnswer } from "./frames.ts";

/** A sandbox and a worker in it, on a machine that has much to do. */
const ANSWER_MS = 60_000;
const LEAVING_MS = 5_000;

export class PlacementError extends BureauError {
  override readonly name = "PlacementError";
}

export interface PlaceOptions {
  /** Where it goes, for messages: `wss://…`, or a socket's path. */
  readonly at: string;
  /**
   * Says a word for each event. Deno's TLS servers send small packets only when those before are acknowledged (Nagle's
   * algorithm, for which they have no switch), which a kernel does 40 ms later, or at once with something to send.
   */
  readonly answers?: boolean;
  /** What the socket needs, and nobody else. */
  readonly carrier?: Disposable;
  readonly clock?: Clock;
  readonly answerMs?: number;
  readonly silenceSeconds?: number;
}

export class PlacedWorker implements Worker {
  readonly spec: ProvisionSpec;
  readonly record: PlacedRecord;
  readonly exited: Promise<{ readonly how: string; readonly stderr: string }>;
  readonly #socket: WebSocket;
  readonly #connection: WorkerConnection;
  readonly #options: PlaceOptions;
  readonly #closed = Promise.withResolvers<string>();
  #isClean = true;

  private constructor(
    socket: WebSocket,
    spec: ProvisionSpec,
    record: PlacedRecord,
    options: PlaceOptions,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.spec = spec;
    this.record = record;
    this.#connection = new WorkerConnection(socket);
    if (options.answers) {
      socket.addEventListener("message", () => {
        if (socket.readyState === WebSocket.OPEN) socket.send(HEARD_FRAME);
      });
    }
    socket.addEventListener("close", ({ reason }) => this.#closed.resolve(reason));
    this.exited = this.#closed.promise.then((reason) => {
      options.carrier?.[Symbol.dispose]();
      return { how: reason || "with its connection", stderr: "" };
    });
  }

  /**
   * @param socket open or connecting, at a `servePlacement`; from here on nobody else's
   * @param input crosses whole, but for a `worker_auth_token`: whoever starts the worker there makes one
   * @throws {PlacementError} with the code of who refused, `no-answer`; {ParentError} `not-enforced`; {SpecError}
   */
  static async place(
    socket: WebSocket,
    input: ProvisionInput,
    options: PlaceOptions,
  ): Promise<PlacedWorker> {
    try {
      const { worker_auth_token: _, ...secrets } = input.secrets ?? {};
      const spec = completeSpec({ ...input, secrets });
      const record = await ask(socket, writeSpec(spec), options);
      refuseUnenforced(record, spec);
      return new PlacedWorker(socket, spec, record, options);
    } catch (thrown) {
      socket.onmessage = socket.onclose = null;
      socket.close();
      options.carrier?.[Symbol.dispose]();
      throw thrown;
    }
  }

  get isReusable(): boolean {
    return this.spec.reusable && this.#connection.isOpen && this.#isClean;
  }

  async run(request: RunRequest, handlers: RunOptions = {}): Promise<RunOutcome> {
    const { clock, silenceSeconds } = this.#options;
    const { limits } = this.spec;
    const outcome = await runWatched(this.#connection, request, handlers, {
      limits,
      clock,
      silenceSeconds,
    });
    if (outcome.status !== "completed") this.#isClean = false;
    if (outcome.status === "timeout" || outcome.status === "cancelled") await this.end();
    return outcome;
  }

  /** Whoever holds it ends it: at the word, and at the latest with the connection. */
  async end(): Promise<void> {
    if (this.#connection.isOpen) this.#socket.send(END_FRAME);
    await this.leave();
  }

  /** Ends it, too, unless whoever holds it keeps what could be used again. */
  async leave(): Promise<void> {
    this.#isClean = false;
    this.#connection.close();
    const { clock = systemClock } = this.#options;
    const gone = new AbortController();
    // The other end says good-bye, if it still can.
    clock.sleep(LEAVING_MS, gone.signal).then(() => this.#closed.resolve(""), () => {});
    await this.exited;
    gone.abort();
  }
}

async function ask(
  socket: WebSocket,
  text: string,
  { at, clock = systemClock, answerMs = ANSWER_MS }: PlaceOptions,
): Promise<PlacedRecord> {
  const answered = Promise.withResolvers<unknown>();
  const lost = (why: string) =>
    answered.reject(
      new PlacementError("no-answer", `Cannot place a worker at "${at}": ${why}`, { status: 502 }),
    );
  socket.onmessage = ({ data }) => answered.resolve(data);
  socket.onerror = () => {};
  socket.onclose = ({ reason }) => lost(reason || "it closed the connection");
  const send = () => socket.send(placeFrame(text));
  if (socket.readyState === WebSocket.OPEN) send();
  else socket.onopen = send;
  const inTime = new AbortController();
  clock.sleep(answerMs, inTime.signal)
    .then(() => lost(`it did not answer within ${answerMs / 1000} s`), () => {});
  try {
    const answer = readAnswer(await answered.promise);
    if (answer?.kind === "placed") return answer;
    if (answer === null) {
      throw new PlacementError("protocol", `Cannot place a worker at "${at}": no host of workers`, {
        status: 502,
      });
    }
    const { code, message, hint } = answer;
    throw new PlacementError(code, `Cannot place a worker at "${at}": ${message}`, {
      status: 502,
      ...(hint === undefined ? {} : { hint }),
    });
  } finally {
    inTime.abort();
  }
}
