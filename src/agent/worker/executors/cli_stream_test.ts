// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { outcomeOf, withProgram } from "../testing/program.ts";

const JSON_BOTH = ["--input-format", "stream-json", "--output-format=stream-json"];

const result = (text: string) =>
  JSON.stringify({ type: "result", subtype: "success", is_error: false, result: text });
const assistant = (content: unknown) =>
  JSON.stringify({ type: "assistant", message: { role: "assistant", content } });

Deno.test("stream-json: messages in and out, steering, and a result by its own words", async () => {
  const script = `
read first; echo '${assistant([{ type: "text", text: "hello" }])}'
echo '${assistant([{ type: "tool_use", id: "t1", name: "Bash", input: { command: "ls" } }])}'
echo 'not json'
read second; printf '{"type":"heard","first":%s,"second":%s}\\n' "$first" "$second"
echo '${result("the answer")}'
while read more; do :; done`;
  await withProgram(script, async ({ say, until, frames }) => {
    say({ kind: "run", assignment: "do it" });
    await until((frames) => frames.length === 3);
    say({ kind: "message", text: "and that" });
    await until((frames) => frames.at(-1)?.kind === "terminal");
    const events = frames.slice(0, -1).map(({ event }) => event!);
    assert.deepEqual(events.slice(0, 3), [
      { type: "text", text: "hello" },
      { type: "tool_call", id: "t1", name: "Bash", input: { command: "ls" } },
      { type: "output", text: "not json" },
    ]);
    // What it doesn't know it hands on whole.
    assert.equal(events[3]!["type"], "output");
    const heard = JSON.parse(String(events[3]!["text"]));
    const user = (content: string) => ({ type: "user", message: { role: "user", content } });
    assert.deepEqual(heard.first, user("do it"));
    assert.deepEqual(heard.second, user("and that"));
    assert.deepEqual(frames.at(-1), {
      kind: "terminal",
      status: "completed",
      result: "the answer",
    });
  }, JSON_BOTH);
});

Deno.test("stream-json: what a program may not do by itself, its parent decides", async () => {
  const request = {
    type: "control_request",
    request_id: "r1",
    request: {
      subtype: "can_use_tool",
      tool_name: "Bash",
      input: { command: "rm x" },
      description: "tidy",
    },
  };
  const script = `read first; echo '${JSON.stringify(request)}'; read answer
case "$answer" in *'"allow"'*) echo '${result("allowed")}';; *) echo '${result("denied")}';; esac
while read more; do :; done`;
  for (const approved of [true, false]) {
    await withProgram(script, async ({ say, until, frames }) => {
      say({ kind: "run", assignment: "x" });
      const asked = () => frames.find(({ kind }) => kind === "approval_request");
      await until(() => asked() !== undefined);
      assert.deepEqual(asked()!["body"], {
        tool_name: "Bash",
        permission: "delete",
        resource: "rm x",
        reason: "tidy",
      });
      say({ kind: "approval_reply", id: asked()!["id"], approved });
      await until((frames) => frames.at(-1)?.kind === "terminal");
      assert.equal(frames.at(-1)!["result"], approved ? "allowed" : "denied");
    }, JSON_BOTH);
  }
});

Deno.test("stream-json: rounds are counted, and more than its limit end the program", async () => {
  const round = (id: string) =>
    ["message_start", "message_stop"].map((type) =>
      JSON.stringify({
        type: "stream_event",
        event: { type, message: { id, model: "m", usage: { input_tokens: 1, output_tokens: 1 } } },
      })
    ).map((line) => `echo '${line}'`).join("\n");
  const script = `read first\n${round("a")}\n${round("b")}\n${round("c")}\nsleep 600`;
  const { terminal } = await outcomeOf(script, "x", JSON_BOTH, { limits: { max_rounds: 2 } });
  assert.equal(terminal["status"], "error");
  assert.equal(terminal["error"], "it took more than the 2 rounds of its max_rounds");
  const enough = `${script.replace("sleep 600", `echo '${result("ok")}'; cat >/dev/null`)}`;
  const { terminal: fine } = await outcomeOf(enough, "x", JSON_BOTH, { limits: { max_rounds: 3 } });
  assert.equal(fine["result"], "ok");
});

Deno.test("stream-json: an end without a result is an error, whatever its status", async () => {
  const { terminal } = await outcomeOf("cat >/dev/null", "x", ["--output-format", "stream-json"]);
  assert.equal(terminal["error"], "the program ended with status 0 without a result");
});
