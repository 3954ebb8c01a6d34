// SPDX-License-Identifier: Apache-2.0

/** Screens of the real programs, as `tmux capture-pane` saw them: Claude Code 2.1.330 and Codex 0.169.0. */
import assert from "node:assert/strict";
import { look } from "./looks.ts";

const SCREENS: Readonly<Record<string, "waiting" | "idle" | null>> = {
  "claude-approval": "waiting",
  "claude-idle": "idle",
  "claude-idle-manual": "idle",
  "claude-trust": "waiting",
  "claude-working": null,
  "codex-approval": "waiting",
  "codex-idle": "idle",
  "codex-working": null,
};

for (const [name, means] of Object.entries(SCREENS)) {
  Deno.test(`the real screen ${name} looks ${means ?? "like work"}`, async () => {
    const text = await Deno.readTextFile(new URL(`./screens/${name}.txt`, import.meta.url));
    const lines = text.replace(/\n$/, "").split("\n");
    const cursor = () => ({ x: 0, y: lines.length - 1, visible: true });
    assert.equal(look({ lines: () => lines, cursor })?.means ?? null, means);
  });
}
