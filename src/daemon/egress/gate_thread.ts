// SPDX-License-Identifier: Apache-2.0

/**
 * The gates in a thread of their own, so that a busy tunnel delays no reconciling and no reconciling a tunnel.
 * A thread that ended is started anew with the policies that hold now; open tunnels are lost with it.
 */
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { AskAnswer } from "../asks/types.ts";
import { RemoteGate } from "./remote_gate.ts";
import type { Gates, GateSettings, PrincipalGate } from "./gates.ts";
import type { FromThread, ToThread } from "./thread_api.ts";

/** A `Worker`, as far as it is used. */
export interface Thread {
  postMessage(message: ToThread): void;
  onmessage: ((event: MessageEvent<FromThread>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

export interface GateThreadOptions {
  readonly start: () => Thread;
  readonly log: Logger;
  /** Where a thread that ends at once would be started for ever: grows from the first to the last. */
  readonly restartMs?: readonly number[];
}

export class GateThread implements Gates {
  readonly #options: GateThreadOptions;
  readonly #gates = new Map<number, RemoteGate>();
  /** Questions that wait, by the thread's number. */
  readonly #asked = new Map<number, AbortController>();
  #thread: Thread | null = null;
  #failures = 0;
  #restart: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #count = 0;
  /** Starts after the first. */
  restarts = 0;

  constructor(options: GateThreadOptions) {
    this.#options = options;
    this.#start();
  }

  make(settings: GateSettings): PrincipalGate {
    const gate = new RemoteGate(++this.#count, settings, (message) => this.#send(message));
    this.#gates.set(gate.id, gate);
    gate.begin();
    return gate;
  }

  drop(gate: PrincipalGate): void {
    if (!(gate instanceof RemoteGate) || !this.#gates.delete(gate.id)) return;
    gate.lose();
    this.#send({ kind: "drop", gate: gate.id });
  }

  /** Ends the thread and with it every tunnel. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    this.#lose();
  }

  #send(message: ToThread): void {
    this.#thread?.postMessage(message);
  }

  #start(): void {
    const thread = this.#options.start();
    this.#thread = thread;
    thread.onmessage = ({ data }) => {
      if (this.#thread === thread) this.#hear(data, thread);
    };
    thread.onerror = (event) => {
      // Else the error would end the daemon too.
      event.preventDefault();
      if (this.#thread === thread) this.#ended(event.message);
    };
    for (const gate of this.#gates.values()) gate.begin();
  }

  #ended(why: string): void {
    this.#lose();
    this.#options.log.error("egress gates ended: every tunnel is cut, they start anew", { why });
    if (this.#isClosed) return;
    const waits = this.#options.restartMs ?? [0, 100, 500, 2_000, 5_000];
    const wait = waits[Math.min(this.#failures++, waits.length - 1)]!;
    this.#restart = setTimeout(() => {
      this.restarts++;
      this.#start();
    }, wait);
  }

  #lose(): void {
    this.#thread?.terminate();
    this.#thread = null;
    for (const asked of this.#asked.values()) asked.abort();
    this.#asked.clear();
    for (const gate of this.#gates.values()) gate.lose();
  }

  #hear(message: FromThread, thread: Thread): void {
    switch (message.kind) {
      case "ready":
        return;
      case "listening":
        for (const gate of this.#gates.values()) gate.heard(message.call, message.error);
        // It lives: what ends it later is another matter.
        if (message.error === null) this.#failures = 0;
        return;
      case "refused":
        return this.#gates.get(message.gate)?.refused(message.target, message.code);
      case "usage":
        return this.#gates.get(message.gate)?.count(message.usage);
      case "left":
        return this.#asked.get(message.call)?.abort();
      case "ask":
        return void this.#ask(message, thread);
    }
  }

  async #ask(message: FromThread & { kind: "ask" }, thread: Thread): Promise<void> {
    const { call, gate, principal, target } = message;
    const leaving = new AbortController();
    this.#asked.set(call, leaving);
    let answer: AskAnswer | null = null;
    try {
      const ask = this.#gates.get(gate)?.settings.ask;
      if (ask !== undefined) answer = await ask.ask(principal, target, leaving.signal);
    } catch (thrown) {
      this.#options.log.error("egress question failed", { why: messageOf(thrown) });
    }
    // A thread that came meanwhile has other numbers.
    if (this.#thread !== thread) return;
    this.#asked.delete(call);
    if (!leaving.signal.aborted) this.#send({ kind: "answer", call, answer });
  }
}
