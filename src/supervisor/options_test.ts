// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { parseOptions } from "./options.ts";

const base = ["--state-dir", "/s", "--run-dir=/r/", "--dist-dir", "/d", "--repo", "/x"];

Deno.test("parseOptions() takes both value forms when given directories", () => {
  const options = parseOptions([...base, "--listen", "127.0.0.1:7000", "--detach"]);
  assert.deepEqual([options.runDir, options.listen.port, options.mode], ["/r", 7000, "detach"]);
});

for (
  const [why, args] of [
    ["an unknown option", ["--nope"]],
    ["a missing value", ["--listen"]],
    ["a port out of range", ["--listen", "127.0.0.1:70000"]],
    ["a relative directory", ["--state-dir", "s"]],
    ["a comma in a path", ["--run-dir", "/a,b"]],
    ["a homeserver that is no URL", ["--homeserver", "localhost"]],
    ["a homeserver with a password", ["--homeserver", "http://u:p@localhost"]],
  ] as const
) {
  Deno.test(`parseOptions() refuses ${why}`, () => {
    assert.throws(() => parseOptions([...base, ...args]), { code: "usage" });
  });
}
