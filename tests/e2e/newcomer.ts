// SPDX-License-Identifier: Apache-2.0

/** Somebody who goes through the tutorial, and does what it says in a second terminal. */
import assert from "node:assert/strict";
import { eventually } from "./harness.ts";
import type { PersonTerminal } from "./terminal.ts";

const PATIENCE_MS = 120_000;

/** Where the reader is: both terminals stand in the checkout, or where `bureau` works as it is shown. */
export interface Desk {
  readonly tutorial: PersonTerminal;
  readonly second: PersonTerminal;
  /** How the reader types `bureau`, as the tutorial was told. */
  readonly bureau: string;
  /** Hosts that some agent asks to connect to. */
  asked(): Promise<readonly string[]>;
}

/** What it says to type, as it stands on the screen, one after the other. */
class Newcomer {
  #done = 0;

  constructor(readonly desk: Desk) {}

  /** The next line of that kind, once it is shown. */
  async #next(sign: "$" | ">"): Promise<string> {
    return await eventually(`another line to type`, async () => {
      const lines = (await this.desk.tutorial.screen()).split("\n").filter((line) =>
        /^ {2}[$>] /.test(line)
      );
      const next = lines[this.#done];
      if (next === undefined) return null;
      assert.equal(next[2], sign, next);
      this.#done++;
      return next.slice(4).trim();
    }, PATIENCE_MS);
  }

  /** Typed in the second terminal; `instead`: where the reader answers in another way. */
  async types(instead = (line: string) => line): Promise<void> {
    await this.desk.second.enter(`clear; ${instead(await this.#next("$"))}`);
  }

  async typesInside(): Promise<void> {
    const line = await this.#next(">");
    // Drawn while it watches: else a shell of the host's would read the line.
    await this.desk.second.shows(/agent\/tutor · /, PATIENCE_MS);
    await this.desk.second.enter(line);
  }

  async leaves(): Promise<void> {
    await this.desk.second.press("C-]", "d");
    await this.desk.second.shows(/^\$ *$/m, PATIENCE_MS);
  }

  async sees(text: string | RegExp): Promise<void> {
    await this.desk.tutorial.shows(text, PATIENCE_MS);
  }
}

/** From the first of its six steps, which its terminal shows, to its end. */
export async function followTutorial(desk: Desk): Promise<void> {
  const reader = new Newcomer(desk);
  const { second, bureau } = desk;
  await reader.types();
  await reader.sees("✓ it runs");

  await reader.types();
  await reader.typesInside();
  await second.shows(/^hello from inside/m, PATIENCE_MS);
  await reader.leaves();
  await reader.sees("✓ it said so, and you left");

  await reader.types();
  await reader.types();
  await reader.sees("✓ it answered");

  await reader.types();
  await reader.types();
  await reader.sees("✓ it is sealed");
  // Look for it inside: the reader opens the terminal once more, and finds nothing.
  await second.enter(`clear; ${bureau} observe tutor`);
  await reader.typesInside();
  await second.shows(/^0\s*$/m, PATIENCE_MS);
  await reader.leaves();

  await reader.types();
  await second.enter(`clear; ${bureau} observe tutor`);
  await reader.typesInside();
  await eventually("it asks", async () => {
    return (await desk.asked()).includes("example.org");
  }, PATIENCE_MS);
  await reader.leaves();
  await reader.types();
  // Not to be asked of the real one by a test: the other answer.
  await reader.types((line) => line.replace(" approve ", " deny "));
  await reader.sees("✓ example.org: denied");

  await reader.types();
  await reader.sees("✓ it is gone");
  await reader.sees(/That was all[^]*^left 0$/m);
}
