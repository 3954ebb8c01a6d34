// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { CredentialBundle } from "../lib/schema/events.ts";
import { bindPlaceholders } from "./placeholders.ts";

const NAME = "bureau/fleet/dev/agent/a";

const bundle: CredentialBundle = {
  version: 1,
  principal: "@a:x",
  credentials: {
    GITHUB: { value: "ghp_secret", allowed_hosts: ["api.github.com:443", "github.com:443"] },
    PRIVATE: { value: "x", allowed_hosts: ["git.test:443"], ca: "PEM" },
    SAME_HOST: { value: "y", allowed_hosts: ["git.test:443"] },
    NOWHERE: { value: "z", allowed_hosts: [] },
    ODD: { value: "z", allowed_hosts: ["https://api.test"] },
  },
};

const bind = (wanted: Record<string, string>, given: CredentialBundle | null = bundle) =>
  bindPlaceholders({ placeholders: wanted, secret_files: {} }, given, "AGE-SECRET-KEY-1TEST", NAME);

Deno.test("bindPlaceholders() shows the sandbox a placeholder and the proxy what it stands for", async () => {
  const { environment, bound } = await bind({ GITHUB_TOKEN: "GITHUB", GH_TOKEN: "GITHUB" });
  assert.match(environment["GH_TOKEN"]!, /^bureau-placeholder-github-[0-9a-f]{32}$/);
  assert.equal(environment["GH_TOKEN"], environment["GITHUB_TOKEN"]);
  assert.ok(!JSON.stringify(environment).includes("ghp_secret"));
  assert.deepEqual(bound, [{
    placeholder: environment["GH_TOKEN"],
    value: "ghp_secret",
    hosts: ["api.github.com:443", "github.com:443"],
  }]);
  assert.deepEqual(await bind({}, null), { environment: {}, files: [], bound: [] });
});

Deno.test("bindPlaceholders() refuses what is not sealed for a host", async () => {
  for (
    const [wanted, code, given] of [
      [{ A: "MISSING" }, "missing-credential"],
      [{ A: "__proto__" }, "missing-credential"],
      [{ A: "GITHUB" }, "missing-credential", null],
      [{ A: "NOWHERE" }, "host-not-allowed"],
      [{ A: "ODD" }, "host-not-allowed"],
      [{ A: "PRIVATE", B: "SAME_HOST" }, "two-authorities"],
    ] as [Record<string, string>, string, null?][]
  ) {
    await assert.rejects(
      bind(wanted, given === null ? null : bundle),
      (error) => (error as { code: string }).code === code,
      code,
    );
  }
});

Deno.test("bindPlaceholders() puts the same placeholder into a file, and refuses as for a variable", async () => {
  const spec = { placeholders: { GH_TOKEN: "GITHUB" }, secret_files: { "github.token": "GITHUB" } };
  const key = "AGE-SECRET-KEY-1TEST";
  const { environment, files, bound } = await bindPlaceholders(spec, bundle, key, NAME);
  assert.deepEqual(Object.keys(environment), ["GH_TOKEN"]);
  assert.deepEqual(files, [["secrets/github.token", environment["GH_TOKEN"]]]);
  assert.equal(bound.length, 1);
  for (const name of ["MISSING", "NOWHERE"]) {
    const missing = { placeholders: {}, secret_files: { x: name } };
    await assert.rejects(bindPlaceholders(missing, bundle, key, NAME), name);
  }
});
