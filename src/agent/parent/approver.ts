// SPDX-License-Identifier: Apache-2.0

/** Who decides about the calls of an operator's workers: people, by the process that asks them, or nobody. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { type Client, createClient, HttpApiError } from "../../lib/http/mod.ts";
import { createParentDecider, type GatedCall } from "../approval/mod.ts";
import { approverApi } from "./api.ts";

/** That process starts while this one does. */
const START_MS = 30_000;
const LOOK_AGAIN_MS = 50;

export interface ApproverOptions {
  /** Of the process that asks people; null: there is none. */
  readonly socket: string | null;
  /** Hears of each call that was denied because nobody could be asked. */
  readonly onUnasked: (worker: string, call: GatedCall) => void;
  readonly clock?: Clock;
}

export class Approver implements Disposable {
  readonly #options: ApproverOptions;
  readonly #client: Client<typeof approverApi> | null;

  constructor(options: ApproverOptions) {
    this.#options = options;
    const { socket } = options;
    this.#client = socket === null ? null : createClient(approverApi, { socket });
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }

  /** Decides about an `approval_request`: once, and with a no for whatever goes wrong. */
  async decide(worker: string, body: unknown, signal: AbortSignal): Promise<boolean> {
    const client = this.#client;
    const decider = createParentDecider({
      human: (call, over) => {
        if (client !== null) return this.#ask(client, worker, call, over);
        this.#options.onUnasked(worker, call);
        return Promise.resolve({ approved: false, why: "nobody is there who could be asked" });
      },
    });
    return (await decider(body, signal)).approved;
  }

  async #ask(
    client: Client<typeof approverApi>,
    worker: string,
    call: GatedCall,
    signal: AbortSignal,
  ) {
    const { clock = systemClock } = this.#options;
    const end = clock.now() + START_MS;
    for (;;) {
      try {
        return await client.call("ask", { body: { worker, ...call }, signal });
      } catch (thrown) {
        const isStarting = thrown instanceof HttpApiError && thrown.code === "unreachable" &&
          clock.now() < end;
        if (!isStarting) throw thrown;
        await clock.sleep(LOOK_AGAIN_MS, signal);
      }
    }
  }
}
