// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { formatTemplateRef } from "../ref/mod.ts";
import type { Template } from "../schema/events.ts";
import { type FetchTemplate, resolveTemplate, templateDigest, traceTemplate } from "./mod.ts";

const from = (templates: Record<string, Template>): FetchTemplate => (ref) => {
  const found = templates[formatTemplateRef(ref)];
  return found === undefined ? Promise.reject(new Error("none")) : Promise.resolve(found);
};

Deno.test("a trace says of each piece of a resolved template who said it", async () => {
  const fetch = from({
    "r:base": {
      command: ["/bin/sh"],
      environment_variables: { HOME: "/a", LANG: "C" },
      create_dirs: ["/x", "/y"],
      filesystem: [{ dest: "/tmp", type: "tmpfs" }],
      egress: { allow: ["a:1"], ask_timeout: 20 },
    },
    "r:left": { inherits: ["r:base"], environment_variables: { HOME: "/left" } },
    "r:right": { inherits: ["r:base"], create_dirs: ["/x"], roles: { one: ["/bin/one", "-v"] } },
    "r:child": {
      inherits: ["r:left", "r:right"],
      filesystem: [{ dest: "/tmp/", type: "tmpfs", options: "size=1" }],
      egress: { allow: ["b:1"] },
    },
  });
  const trace = await traceTemplate("r:child", fetch);
  const resolved = await resolveTemplate("r:child", fetch);
  assert.deepEqual(trace.template, resolved);
  assert.equal(trace.digest, await templateDigest(resolved));
  // `right` brings `base` a second time, on top of `left`.
  assert.deepEqual(trace.lineage, ["r:left", "r:base", "r:right", "r:child"]);
  const who = Object.fromEntries(trace.origins.map(({ field, from }) => [field, from]));
  assert.deepEqual(who, {
    command: ["r:base"],
    "environment_variables.HOME": ["r:base"],
    "environment_variables.LANG": ["r:base"],
    "create_dirs[0]": ["r:base", "r:right"],
    "create_dirs[1]": ["r:base"],
    "filesystem[0]": ["r:child"],
    "roles.one": ["r:right"],
    "egress.allow[0]": ["r:base"],
    "egress.allow[1]": ["r:child"],
    "egress.ask_timeout": ["r:base"],
  });
  assert.equal(resolved.environment_variables?.["HOME"], "/a");
});
