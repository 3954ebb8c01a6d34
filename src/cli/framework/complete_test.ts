// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { commands, groups } from "../commands.ts";
import { complete } from "./complete.ts";

const at = (...words: string[]) => complete(groups, commands, words);
const words = (...line: string[]) => at(...line).proposals.map(({ word }) => word);

Deno.test("complete() proposes groups, commands, parts and nothing hidden", () => {
  assert.ok(["agent", "list", "web"].every((word) => words("").includes(word)));
  assert.ok(!words("").includes("complete"));
  assert.deepEqual(words("cred"), ["credential"]);
  assert.ok(words("credential", "").includes("escrow"));
  assert.deepEqual(words("credential", "escrow", "").toSorted(), ["init", "show"]);
  assert.deepEqual(words("nonsense", ""), []);
});

Deno.test("complete() proposes flags that are not there yet, the global ones too, wherever they stand", () => {
  assert.deepEqual(words("observe", "scribe", "--read"), ["--readonly", "--read-only"]);
  assert.deepEqual(words("observe", "--readonly", "scribe", "--read"), ["--read-only"]);
  assert.ok(words("--json", "agent", "create", "x", "--").includes("--state-dir"));
  assert.ok(!words("--json", "agent", "create", "x", "--").includes("--json"));
  // What may be repeated is proposed again.
  assert.ok(words("agent", "create", "x", "--var", "A=1", "--v").includes("--var"));
  // A group's name alone is a command.
  assert.ok(words("web", "--").includes("--lan"));
});

Deno.test("complete() knows what a word names", () => {
  assert.deepEqual(at("observe", "scr").names, { of: "principal", before: "", begun: "scr" });
  assert.equal(at("machine", "drain", "").names?.of, "machine");
  assert.equal(at("matrix", "send", "#b").names?.of, "room");
  assert.equal(at("agent", "create", "x", "--template", "").names?.of, "template");
  const joined = at("agent", "create", "x", "--template=bureau/template:a").names;
  assert.deepEqual(joined, { of: "template", before: "--template=", begun: "bureau/template:a" });
  assert.equal(at("agent", "create", "x", "--repo", "").names?.of, "file");
  assert.equal(at("--state-dir", "").names?.of, "file");
  // A switch takes nothing, so the next word is the argument; an argument that was given is over.
  assert.equal(at("observe", "--readonly", "").names?.of, "principal");
  assert.deepEqual(at("observe", "scribe", ""), { proposals: [], names: null });
  assert.deepEqual(words("completion", ""), ["bash", "zsh", "fish"]);
  // Of a program's own command line nothing is known but files.
  assert.equal(at("sandbox", "run", "--", "ls", "").names?.of, "file");
});
