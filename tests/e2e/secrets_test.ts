// SPDX-License-Identifier: Apache-2.0

/** Secrets of a template: in a variable and in a file, and never more than a placeholder. */
import assert from "node:assert/strict";
import { eventually, withBureau } from "./harness.ts";

const VALUE = "the-value-that-no-agent-sees";

Deno.test("a template's secrets are placeholders in variables and files of the sandbox", async () => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const file = async (name: string, content: unknown) => {
      const path = `${bureau.stateDir}/${name}`;
      await Deno.writeTextFile(path, JSON.stringify(content));
      return path;
    };
    const ok = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, done.stdout + done.stderr);
      return done.stdout;
    };
    const show = 'cd /run/bureau/secrets; echo "env=$TOKEN"; ' +
      'for f in *; do echo "$f=$(cat $f)"; done; echo "dir=$(touch x 2>&1)"; echo shown; ' +
      "exec sleep 1000";
    const template = await file("holder.json", {
      description: "Shows what it holds",
      inherits: ["bureau/template:base"],
      command: ["/bin/sh", "-c", show],
      secrets: [{ key: "token", env: "TOKEN", file: "token.txt" }, { key: "key", file: "key" }],
    });
    const credential = { value: VALUE, allowed_hosts: ["api.example.org:443"] };
    const credentials = await file("credentials.json", { token: credential, key: credential });
    await ok("template", "push", template, "bureau/template:holder");
    await ok(
      ...["agent", "create", "agent/holder", "--template", "bureau/template:holder"],
      ...["--credentials", credentials],
    );
    const screen = await eventually("it shows what it holds", async () => {
      const { code, stdout } = await bureau.cli("observe", "agent/holder", "--dump");
      return code === 0 && /^shown/m.test(stdout) ? stdout : null;
    }, 60_000);
    const [, held] = /^env=(bureau-placeholder-token-[0-9a-f]{32})$/m.exec(screen) ?? [];
    assert.ok(held !== undefined, screen);
    assert.match(screen, new RegExp(`^token\\.txt=${held}$`, "m"));
    assert.match(screen, /^key=bureau-placeholder-key-[0-9a-f]{32}$/m);
    assert.match(screen, /^dir=.*Read-only file system/m);
    assert.ok(!screen.includes(VALUE));
  });
});
