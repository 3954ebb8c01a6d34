// SPDX-License-Identifier: Apache-2.0

/**
 * A worker that is somebody else's executor: what one parent asks of this process, this process asks of a worker that
 * it holds. So the other end has a worker like any other, with one outcome for each run.
 */
import { messageOf } from "../../lib/errors.ts";
import type { Worker } from "../parent/worker.ts";
import type { Executor, RunContext } from "../worker/executor.ts";
import type { Restriction } from "../fabric/mod.ts";

/** What a worker may have told that the other end has not taken: a worker can't be made to wait. */
const MAX_BEHIND_CHARACTERS = 8 * 1024 * 1024;

export function relayTo(worker: Worker): Executor {
  return {
    enforces: worker.record.enforces as Restriction[],
    async run(context) {
      const over = new AbortController();
      const signal = AbortSignal.any([context.signal, over.signal]);
      const events = new Events(context, () => over.abort());
      let isRunning = true;
      const outcome = await worker.run({
        assignment: context.assignment,
        ...(context.reasoningEffort === undefined
          ? {}
          : { reasoning_effort: context.reasoningEffort }),
        ...(context.messages === undefined ? {} : { messages: context.messages }),
      }, {
        signal,
        onEvent: (event) => events.pass(event),
        onApproval: (body) => context.approve(body),
        async onStart(control) {
          while (isRunning && !signal.aborted) {
            for (const text of context.takeMessages()) control.message(text);
            await context.messageComes();
          }
        },
      }).catch((thrown) => ({ status: "error" as const, error: messageOf(thrown) }));
      isRunning = false;
      await events.passed;
      if (over.signal.aborted) throw new Error(TOO_SLOW);
      if (outcome.status === "completed") return outcome.result;
      throw new Error(outcome.status === "cancelled" ? "it was cancelled" : outcome.error);
    },
  };
}

const TOO_SLOW = `more than ${
  MAX_BEHIND_CHARACTERS / 2 ** 20
} MiB of events waited for a parent that takes them too slowly`;

/** In order, and no more of them at a time than a parent may be behind. */
class Events {
  passed: Promise<void> = Promise.resolve();
  readonly #context: RunContext;
  readonly #onTooMany: () => void;
  #behind = 0;

  constructor(context: RunContext, onTooMany: () => void) {
    this.#context = context;
    this.#onTooMany = onTooMany;
  }

  pass(event: unknown): void {
    const size = JSON.stringify(event).length;
    if (this.#behind + size > MAX_BEHIND_CHARACTERS) return this.#onTooMany();
    this.#behind += size;
    this.passed = this.passed.then(async () => {
      await this.#context.emit(event);
      this.#behind -= size;
    });
  }
}
