// SPDX-License-Identifier: Apache-2.0

/** `up` as a person meets it: in the foreground, with its words on the terminal, ended by Ctrl-C. */
import assert from "node:assert/strict";
import { EMBEDDED, eventually, processesOf, ROOT, run, withBureau } from "./harness.ts";

Deno.test("up shows the agent at work, prints commands that work, and Ctrl-C stops everything", async (t) => {
  await withBureau(async (bureau) => {
    const child = bureau.spawnUp();
    let shown = "";
    const reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) shown += text;
    })();
    let complained = "";
    const complaining = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        complained += text;
      }
    })();
    await eventually(
      "the report is shown",
      () => Promise.resolve(/Repository at commit/.test(shown)),
      60_000,
    );

    await t.step("each step is named, and no warning of Deno's is", () => {
      const steps = ["launcher", "first boot", "daemon", "example agent"];
      for (const step of EMBEDDED ? ["homeserver", ...steps] : steps) {
        assert.match(shown, new RegExp(`starting ${step}`));
      }
      assert.doesNotMatch(shown + complained, /experimental|Warning/);
      assert.equal(complained, "");
    });

    await t.step("every printed command can be pasted", async () => {
      const commands = [...shown.matchAll(/^ {2}(\w[\w ]*?) {2,}(sh tasks\/.*?)(?: {3}\(.*\))?$/gm)]
        .map((match) => [match[1]!, match[2]!] as const);
      assert.deepEqual(commands.map(([name]) => name), [
        "status",
        "browser",
        "Element",
        "read",
        "talk",
        "watch",
        "remove",
        "stop all",
      ]);
      for (const [name, command] of commands) {
        // These two end what the next lines need; a terminal is missing here for `watch`.
        if (name === "remove" || name === "stop all") continue;
        const pasted = name === "watch" ? `${command} --dump` : command;
        const done = await run("sh", ["-c", pasted], ROOT);
        assert.equal(done.code, 0, `${pasted}: ${done.stdout}${done.stderr}`);
      }
      await eventually(
        "the answer is shown live",
        () => Promise.resolve(/README\.md: \d+ bytes/.test(shown)),
      );
    });

    await t.step("Ctrl-C stops everything that it started, and says so", async () => {
      child.kill("SIGINT");
      const { code } = await child.status;
      await Promise.all([reading, complaining]);
      assert.equal(code, 0, complained);
      assert.match(shown, /stopped; `deno task up` resumes/);
      await eventually("nothing runs", async () => (await processesOf(bureau)).length === 0);
    });

    await t.step("a second up resumes: the same agent, nothing made twice", async () => {
      const again = await bureau.up("--detach");
      assert.equal(again.code, 0, again.stderr);
      const { messages } = await bureau.json<{ messages: { body: string }[] }>(
        "matrix",
        "messages",
        "agent/scribe",
      );
      const reports = messages.filter(({ body }) => body.startsWith("Repository at commit"));
      assert.equal(reports.length, 1);
    });
  });
});
