// SPDX-License-Identifier: Apache-2.0

/** The repository that docs/recordings is about, and what the two models say in it. */
import assert from "node:assert/strict";
import { type Ask, fail, type Reply, say } from "../../src/agent/testing/model/mod.ts";

const GREET = `#!/bin/sh
echo "Hello"
`;
const EDITED = `#!/bin/sh
echo "Hello, \${1:-world}!"
`;
const PATCH = `*** Begin Patch
*** Add File: test.sh
+#!/bin/sh
+# Who is greeted, and who when nobody is named.
+[ "$(sh greet.sh Ada)" = "Hello, Ada!" ] &&
+  [ "$(sh greet.sh)" = "Hello, world!" ] &&
+  echo "2 tests passed"
*** End Patch`;

export const REPORT = "greet.sh greets by name now, in one commit on my branch. Ben's test.sh is " +
  "in his; merge mine first, then it passes.";

export async function makeRepository(dir: string): Promise<void> {
  await Deno.remove(dir, { recursive: true });
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/greet.sh`, GREET);
  for (
    const words of [
      ["init", "--quiet", "--initial-branch=main"],
      ["config", "user.name", "operator"],
      ["config", "user.email", "operator@example.invalid"],
      ["add", "."],
      ["commit", "--quiet", "-m", "A greeting"],
    ]
  ) {
    const { success, stderr } = await new Deno.Command("git", { args: ["-C", dir, ...words] })
      .output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }
}

const act = (text: string, name: string, input: Record<string, unknown>): Reply => ({
  kind: "say",
  text: [text],
  tools: [{ name, input }],
});

const ADA: readonly Reply[] = [
  act("I look at it first.", "Read", { file_path: "/workspace/greet.sh" }),
  act("One line is enough.", "Edit", {
    file_path: "/workspace/greet.sh",
    old_string: GREET.split("\n")[1]!,
    new_string: EDITED.split("\n")[1]!,
  }),
  act("Does it work?", "Bash", {
    command:
      "sh greet.sh && sh greet.sh Ada && git commit --quiet --all --message 'Greet by name' && git log --oneline",
    description: "Runs it, and commits",
  }),
  say(
    "@ben: greet.sh prints `Hello, NAME!` now, and `Hello, world!` without a name. Please " +
      "write test.sh for both.",
  ),
];

const BEN: readonly Reply[] = [
  act("I see what is here.", "exec_command", { cmd: "ls; cat greet.sh" }),
  act("I write the test.", "exec_command", { cmd: `apply_patch <<'EOF'\n${PATCH}\nEOF` }),
  act("And commit it.", "exec_command", {
    cmd:
      "sh -n test.sh && git add test.sh && git commit --quiet --message 'A test of the greeting' && git log --oneline",
  }),
  say("test.sh tests both, and is committed. It passes once your change is merged."),
];

/** By what was said last, and how far the work is. */
export function stage({ lastText, toolResults }: Ask): Reply {
  if (/ben:\S+: test\.sh tests both/.test(lastText)) return say(REPORT);
  const lines = /ada:\S+: @ben: greet\.sh prints/.test(lastText)
    ? BEN
    : /@operator\S*: @ada: let greet\.sh/.test(lastText)
    ? ADA
    : [];
  return lines[toolResults.length] ?? fail(400, "invalid_request_error", "not in the script");
}
