// SPDX-License-Identifier: Apache-2.0

/** The recorder as a tap of the relay. */
import type { SecretList } from "../../lib/recording/mod.ts";
import type { RelayBootstrap } from "../api.ts";
import { RELAY_EXIT_FILE, RELAY_RECORDINGS } from "../constants.ts";
import type { MakeTap } from "../tap.ts";
import { Recorder } from "./recorder.ts";

export class Recording {
  readonly #bootstrap: RelayBootstrap;
  readonly #warn: (message: string) => void;
  #secrets: SecretList | null;
  #recorder: Recorder | null = null;

  /** @param warn told when recording stops, and when it goes on */
  constructor(bootstrap: RelayBootstrap, warn: (message: string) => void) {
    this.#bootstrap = bootstrap;
    this.#secrets = bootstrap.recording?.secrets ?? null;
    this.#warn = warn;
  }

  /** None where nothing is recorded. */
  get taps(): readonly MakeTap[] {
    const { principal, recording } = this.#bootstrap;
    if (recording === undefined) return [];
    return [(screen) =>
      this.#recorder = new Recorder({
        dir: RELAY_RECORDINGS,
        principal,
        screen,
        secrets: this.#secrets,
        maxBytes: recording.max_bytes,
        keepMs: recording.keep_ms,
        exitStatus: readExitStatus,
        onTrouble: this.#warn,
      })];
  }

  /** What stands beside the output from here on. */
  mark(text: string): void {
    this.#recorder?.mark(text, Date.now());
  }

  replaceSecrets(list: SecretList): void {
    this.#secrets = list;
    this.#recorder?.replaceSecrets(list);
  }
}

/** What the pane wrote when the sandbox ended; null while it goes on. */
async function readExitStatus(): Promise<number | null> {
  const text = await Deno.readTextFile(RELAY_EXIT_FILE).catch(() => "");
  return /^\d{1,3}\s*$/.test(text) ? Number(text) : null;
}
