// SPDX-License-Identifier: Apache-2.0

/** Tests: bwrap's words as bwrap reads them. */
import assert from "node:assert/strict";
import { encodeArguments } from "../mod.ts";

/** Options that our code writes, and how many words follow. Anything else in an option's place is a breach. */
const ARITY: Readonly<Record<string, number>> = {
  "--unshare-user": 0,
  "--unshare-all": 0,
  "--unshare-pid": 0,
  "--disable-userns": 0,
  "--cap-drop": 1,
  "--uid": 1,
  "--gid": 1,
  "--clearenv": 0,
  "--new-session": 0,
  "--die-with-parent": 0,
  "--ro-bind": 2,
  "--ro-bind-try": 2,
  "--bind": 2,
  "--dev-bind": 2,
  "--dev-bind-try": 2,
  "--proc": 1,
  "--dev": 1,
  "--size": 1,
  "--perms": 1,
  "--tmpfs": 1,
  "--remount-ro": 1,
  "--setenv": 2,
  "--dir": 1,
  "--symlink": 2,
  "--hostname": 1,
  "--chdir": 1,
  "--seccomp": 1,
};

/** What bwrap reads: words between NULs, options with as many words as they take. */
export function parse(args: readonly string[]): string[][] {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(encodeArguments(args));
  const words = text.split("\0").slice(0, -1);
  assert.deepEqual(words, [...args], "what bwrap reads is what was meant");
  const options: string[][] = [];
  for (let at = 0; at < words.length;) {
    const name = words[at]!;
    assert.ok(Object.hasOwn(ARITY, name), `${JSON.stringify(name)} where an option stands`);
    options.push(words.slice(at, at + 1 + ARITY[name]!));
    at += 1 + ARITY[name]!;
  }
  return options;
}
