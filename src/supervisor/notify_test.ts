// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { NotifyTarget } from "../lib/config/mod.ts";
import { createLogger } from "../lib/log.ts";
import { notifyTargets } from "../lib/config/mod.ts";
import { notifySource } from "./notify.ts";

Deno.test("notifyTargets() reads the file and the secrets that it names", async () => {
  const dir = await Deno.makeTempDir();
  const lines: string[] = [];
  try {
    await Deno.mkdir(`${dir}/operator`, { mode: 0o700 });
    assert.deepEqual(notifyTargets(dir), []);
    const path = `${dir}/operator/bureau.yaml`;
    const write = (text: string) => Deno.writeTextFile(path, text, { mode: 0o600 });
    await write(
      `notify:\n  - matrix: true\n  - ntfy: https://ntfy.sh/t\n    token_file: ${dir}/operator/tk\n` +
        "    agents: [agent/*]\n    after_seconds: 5\n",
    );
    assert.throws(() => notifyTargets(dir), /can't be read/);
    await Deno.writeTextFile(`${dir}/operator/tk`, "tk_1\n", { mode: 0o600 });
    const targets = notifyTargets(dir);
    assert.deepEqual(targets, [
      {
        name: "matrix",
        kind: "matrix",
        states: ["failed", "waiting-approval", "waiting-input"],
        after_ms: 20_000,
        include_text: false,
      },
      {
        name: "ntfy",
        kind: "ntfy",
        states: ["failed", "waiting-approval", "waiting-input"],
        after_ms: 5_000,
        include_text: false,
        url: "https://ntfy.sh/t",
        secret: "tk_1",
        agents: ["agent/*"],
      },
    ]);
    assert.deepEqual(targets.map((target) => NotifyTarget.parse(target)), targets);
    const source = notifySource(dir, createLogger("test", {}, (line) => lines.push(line)));
    assert.equal(source().length, 2);
    await write("notify:\n  - matrix: true\n");
    assert.equal(source().length, 1);
    await write("notify:\n  - nothing: true\n");
    assert.equal(source().length, 1);
    assert.equal(lines.length, 1);
    assert.throws(notifySource(dir, createLogger("test", {}, () => {})));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
