// SPDX-License-Identifier: Apache-2.0

/** For programs that keep their own conversation: what they told in a turn is what their context is. */
import type { AgentEvent } from "../event.ts";
import type { Recorder } from "./recorder.ts";

/** Of one turn; its log has the rest. */
const MAX_TURN = 4 * 1024 * 1024;
const SUMMARY = 200;

export class TurnRecorder {
  readonly #recorder: Recorder;
  #lines: string[] = [];
  #size = 0;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  event(event: AgentEvent): void {
    this.#recorder.event(event);
    if ("partial" in event && event.partial === true) return;
    if (event.type !== "state") this.#add(event);
    if (event.type !== "end") return;
    this.#recorder.commit({
      ...{ type: "delta", format: "events-v1", checkpoint: "turn", messages: this.#lines.length },
      summary: (event.result ?? event.error ?? event.status).slice(0, SUMMARY),
    }, () => this.#lines.map((line) => `${line}\n`).join(""));
    this.#lines = [];
    this.#size = 0;
  }

  #add(line: object): void {
    const text = JSON.stringify(line);
    if (this.#size + text.length > MAX_TURN) return;
    this.#size += text.length;
    this.#lines.push(text);
  }
}
