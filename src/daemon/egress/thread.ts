// SPDX-License-Identifier: Apache-2.0

/** Runs in the gates' own thread: makes gates as it is told, and tells what they did. */
import type { Logger } from "../../lib/log.ts";
import type { AskAnswer, AskDecider } from "../asks/types.ts";
import { EgressGate } from "./gate.ts";
import type { FromThread, ToThread } from "./thread_api.ts";

/** The end of a `MessagePort` or a worker's own scope. */
export interface ThreadPort {
  postMessage(message: FromThread): void;
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
}

/** Counters that changed are told this often; while nothing moves, no timer runs. */
const TELL_MS = 200;

interface Served {
  readonly gate: EgressGate;
  listening: AbortController;
  told: string;
}

/** What a question that the daemon could not put is answered with. */
const UNASKED: AskAnswer = {
  allowed: false,
  why: "an operator could not be asked",
  code: "ask-withdrawn",
};

export function serveGates(port: ThreadPort, log: Logger): void {
  const gates = new Map<number, Served>();
  const asked = new Map<number, (answer: AskAnswer) => void>();
  let calls = 0;
  /** Gates whose counters may differ from what was told. */
  const moving = new Set<number>();
  let isArmed = false;

  const move = (id: number) => {
    moving.add(id);
    if (isArmed) return;
    isArmed = true;
    setTimeout(tell, TELL_MS);
  };

  const tell = () => {
    isArmed = false;
    for (const id of [...moving]) {
      moving.delete(id);
      const served = gates.get(id);
      if (served === undefined) continue;
      const { usage } = served.gate;
      const told = JSON.stringify(usage);
      if (told !== served.told) port.postMessage({ kind: "usage", gate: id, usage });
      served.told = told;
      // What a tunnel carries is counted in it, and nobody says when that grows.
      if (usage.active > 0) move(id);
    }
  };

  const deciderOf = (gate: number): AskDecider => ({
    ask: (principal, target, signal) =>
      new Promise((resolve) => {
        const call = ++calls;
        const settle = (answer: AskAnswer) => {
          asked.delete(call);
          signal.removeEventListener("abort", leave);
          resolve(answer);
        };
        const leave = () => {
          port.postMessage({ kind: "left", call });
          settle(UNASKED);
        };
        asked.set(call, settle);
        signal.addEventListener("abort", leave, { once: true });
        port.postMessage({ kind: "ask", gate, call, principal, target });
        if (signal.aborted) leave();
      }),
  });

  const make = (id: number, principal: string): Served => {
    const gate = new EgressGate({
      principal,
      log: log.with({ principal }),
      ask: deciderOf(id),
      onUsage: () => move(id),
      onRefused: (target, code) => port.postMessage({ kind: "refused", gate: id, target, code }),
    });
    return { gate, listening: new AbortController(), told: "" };
  };

  const listen = (served: Served, path: string, call: number) => {
    served.listening.abort();
    served.listening = new AbortController();
    served.gate.listen(path, served.listening.signal).then(
      () => port.postMessage({ kind: "listening", call, error: null }),
      (thrown) => port.postMessage({ kind: "listening", call, error: String(thrown) }),
    );
  };

  const close = (served: Served) => {
    served.listening.abort();
    served.gate.close();
  };

  port.onmessage = ({ data: message }) => {
    if (message.kind === "answer") {
      asked.get(message.call)?.(message.answer ?? UNASKED);
      return;
    }
    if (message.kind === "make") {
      gates.set(message.gate, make(message.gate, message.principal));
      return;
    }
    const served = gates.get(message.gate);
    if (served === undefined) return;
    switch (message.kind) {
      case "policy":
        return served.gate.setPolicy(message.allow, message.deny, message.ask ?? undefined);
      case "listen":
        return listen(served, message.path, message.call);
      case "close":
        return close(served);
      case "drop":
        close(served);
        gates.delete(message.gate);
    }
  };

  port.postMessage({ kind: "ready" });
}
