// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import type { AskView, PrincipalView } from "../../daemon/api.ts";
import { TmuxServer } from "../../observe/_session.ts";
import { literal, quote } from "./control.ts";
import { borderText, statusText } from "./status.ts";

const view = (name: string, more: object = {}) =>
  ({
    principal: `bureau/fleet/dev/agent/${name}`,
    phase: "running",
    since: 0,
    ...more,
  }) as PrincipalView;
const ask = (id: string, host: string): AskView => ({
  id,
  principal: "bureau/fleet/dev/agent/a",
  host,
  port: 443,
  since: 0,
  until: 0,
  waiting: 1,
});

Deno.test("the last line says who waits for a person, and what is asked", () => {
  assert.equal(statusText({ principals: [view("a"), view("b")], asks: [] }), "2 of 2 run");
  const principals = [
    view("a", { attention: { state: "waiting-input", since: 0 } }),
    view("b", { phase: "failed" }),
    view("c", { attention: { state: "working", since: 0 } }),
  ];
  assert.equal(
    statusText({ principals, asks: [ask("q1", "one\x1b[31m.example"), ask("q2", "two.example")] }),
    "agent/a waiting-input · agent/b failed · agent/a asks for one\\x1b[31m.example:443 (q1, and 1 more) · 2 of 3 run",
  );
  assert.equal(borderText(principals[0]), "waiting-input");
  assert.equal(borderText(principals[2]), "");
  assert.equal(borderText(undefined), "");
});

Deno.test("tmux takes a word of ours as it is, whatever is in it", async () => {
  await using server = await TmuxServer.start(["sleep", "1000"]);
  const file = `${server.directory}/words`;
  const words = fc.sample(fc.string({ unit: "grapheme", maxLength: 20 }), { numRuns: 60, seed: 3 })
    // deno-lint-ignore no-control-regex
    .map((word) => word.replaceAll(/[\x00-\x1f\x7f]/g, ""))
    .concat("it's", "$HOME `id` #(id) ;", "'", "''", "\\", "a;b", "~", "{x}", "%if 1", "-n");
  await Deno.writeTextFile(
    file,
    words.map((word, at) => `set-option -g @w${at} -- ${quote(word)}\n`.replace(" -- ", " ")).join(
      "",
    ),
  );
  // As it reads a line of control mode: the same parser.
  await server.tmux("source-file", file).catch(() => {});
  for (const [at, word] of words.entries()) {
    if (word === "" || word.startsWith("-")) continue;
    assert.equal(await server.tmux("display-message", "-p", `#{@w${at}}`), word.trimEnd(), word);
  }
  assert.throws(() => quote("a\nkill-server"), { code: "bad-word" });
  await server.tmux("rename-window", "-t", "=agent:", literal("#(touch x) #W"));
  assert.equal(await server.tmux("display-message", "-p", "#{window_name}"), "#(touch x) #W");
});
