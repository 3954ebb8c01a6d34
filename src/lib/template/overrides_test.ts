// SPDX-License-Identifier: Apache-2.0

/** What an assignment may say about its template: more parents, another environment, other services. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson } from "../canonical/mod.ts";
import { formatTemplateRef } from "../ref/mod.ts";
import type { Template } from "../schema/events.ts";
import {
  builtinTemplates,
  type FetchTemplate,
  instantiate,
  mergeTemplates,
  resolveTemplate,
  templateDigest,
  TemplateError,
  traceTemplate,
  validateTemplate,
} from "./mod.ts";

const from = (templates: Record<string, Template>): FetchTemplate => (ref) => {
  const found = templates[formatTemplateRef(ref)];
  return found === undefined ? Promise.reject(new Error("none")) : Promise.resolve(found);
};
const fetchBuiltin: FetchTemplate = (ref) =>
  Promise.resolve(builtinTemplates[ref.name as keyof typeof builtinTemplates]);

const shelf: Record<string, Template> = {
  "r:base": { command: ["base"], environment_variables: { A: "base", B: "base" } },
  "r:child": { inherits: ["r:base"], environment_variables: { B: "child" } },
  "r:tools": { inherits: ["r:base"], create_dirs: ["/tools"] },
  "r:loud": {
    environment_variables: { B: "loud" },
    authorization: { denials: [{ actions: ["x"] }] },
  },
  "r:loop": { inherits: ["r:loop2"] },
  "r:loop2": { inherits: ["r:loop"] },
};

Deno.test("extra_inherits are laid on top of the resolved template, from left to right", async () => {
  const whole = await resolveTemplate("r:child", from(shelf), ["r:tools", "r:loud"]);
  assert.deepEqual(whole, {
    command: ["base"],
    // `tools` brings the base's B again, `loud` is last.
    environment_variables: { A: "base", B: "loud" },
    create_dirs: ["/tools"],
    authorization: { denials: [{ actions: ["x"] }] },
  });
});

Deno.test("extra_inherits are to a template what a child without words of its own is", async () => {
  const names = ["r:base", "r:child", "r:tools", "r:loud"];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.array(fc.constantFrom(...names), { maxLength: 4 }),
      async (ref, extra) => {
        const child = { ...shelf, "r:it": { inherits: [ref, ...extra] } };
        const assigned = await traceTemplate(ref, from(shelf), extra);
        const inherited = await traceTemplate("r:it", from(child));
        assert.equal(canonicalJson(assigned.template), canonicalJson(inherited.template));
        assert.equal(assigned.digest, inherited.digest);
        assert.deepEqual(assigned.lineage, inherited.lineage.slice(0, -1));
        assert.deepEqual(assigned.origins, inherited.origins);
      },
    ),
  );
});

Deno.test("extra_inherits that loop, or are no references, are refused", async () => {
  const codeIs = (code: string) => (error: unknown) =>
    error instanceof TemplateError && error.code === code;
  await assert.rejects(resolveTemplate("r:child", from(shelf), ["r:loop"]), codeIs("cycle"));
  await assert.rejects(resolveTemplate("r:child", from(shelf), ["nothing"]), /nothing/);
  await assert.rejects(resolveTemplate("r:child", from(shelf), ["r:none"]), /none/);
  const many = Array.from({ length: 70 }, (_, at) => `r:t${at}`);
  const books = Object.fromEntries(many.map((name): [string, Template] => [name, {}]));
  await assert.rejects(
    resolveTemplate("r:child", from({ ...shelf, ...books }), many),
    codeIs("too-many"),
  );
});

Deno.test("what uses none of the newer fields has the digest that it had", async () => {
  const golden = {
    base: "6df6acb9ea8c803b52a56125d14743fbd6f8a32b8499aef35f2cb5c4130b9941",
    agent: "2a97604c604d5c1327a2734fc770b1f9df285b2f413b14715ffce5446bb7ac90",
    networked: "1057079eadc797db606da1454eb24b082d0d0d9474c187272b8c840aa5fa52a9",
    scribe: "09921b6dfd7f58435df3c7cd0f6e2f9d42f6f509812c4edaf74420ec9ff3bc43",
  } as const;
  for (const [name, digest] of Object.entries(golden)) {
    const ref = `bureau/template:${name}`;
    assert.equal(await templateDigest(await resolveTemplate(ref, fetchBuiltin)), digest, name);
    assert.equal(await templateDigest(await resolveTemplate(ref, fetchBuiltin, [])), digest, name);
  }
});

Deno.test("an instance has its own environment and services where its assignment names them", () => {
  const template: Template = {
    command: ["a"],
    environment: "/nix/store/one",
    required_services: ["ticket", "artifact"],
  };
  const plain = instantiate(template, {});
  assert.deepEqual(plain.sysroot, { nix: "/nix/store/one" });
  assert.deepEqual(plain.required_services, ["ticket", "artifact"]);
  const other = instantiate(template, {
    environment_override: "${ENV}",
    required_services_override: ["stt"],
    variables: { ENV: "/nix/store/two" },
  });
  assert.deepEqual(other.sysroot, { nix: "/nix/store/two" });
  assert.deepEqual(other.required_services, ["stt"]);
  // Empty replaces too: no service, and the host's programs again.
  const none = instantiate(template, { environment_override: "", required_services_override: [] });
  assert.equal(none.sysroot, "host");
  assert.deepEqual(none.required_services, []);
  const rooted = instantiate({ command: ["a"], sysroot: { rootfs: "/srv/root" } }, {
    environment_override: "",
  });
  assert.deepEqual(rooted.sysroot, { rootfs: "/srv/root" });
});

Deno.test("validateTemplate() refuses an environment beside a sysroot, and one that is no path", () => {
  const fields = (template: Template) =>
    validateTemplate({ description: "it", command: ["a"], ...template }).map(({ field }) => field);
  assert.deepEqual(fields({ environment: "/nix/store/one" }), []);
  assert.deepEqual(fields({ environment: "nix/store/one" }), ["environment"]);
  assert.deepEqual(
    fields({ environment: "/nix/store/one", sysroot: { rootfs: "/srv/root" } }),
    ["environment"],
  );
  assert.deepEqual(fields({ environment: "/nix/${X}/one" }), []);
  assert.deepEqual(fields({ environment: "/nix/${no}/one" }), ["environment"]);
});

Deno.test("no built-in template but passthrough is without a sandbox, and none has rights of an operator", async () => {
  for (const name of Object.keys(builtinTemplates)) {
    const whole = await resolveTemplate(`bureau/template:${name}`, fetchBuiltin);
    assert.equal(whole.isolation === "none", name === "passthrough", name);
    const actions = (whole.authorization?.grants ?? []).flatMap((grant) => grant.actions);
    assert.deepEqual(
      actions.filter((action) => !/^(matrix|http)\/[a-z/._-]+$/.test(action)),
      [],
      name,
    );
  }
});

Deno.test("secrets are merged by key, replaced whole by an assignment, and become placeholders", () => {
  const parent: Template = {
    command: ["a"],
    placeholders: { OLD: "old" },
    secrets: [{ key: "api", env: "API" }, { key: "git", file: "git" }],
  };
  const whole = mergeTemplates(parent, {
    secrets: [{ key: "api", file: "api.key" }, { key: "new", env: "NEW", file: "new" }],
  });
  assert.deepEqual(whole.secrets, [
    { key: "git", file: "git" },
    { key: "api", file: "api.key" },
    { key: "new", env: "NEW", file: "new" },
  ]);
  const made = instantiate(whole, {});
  assert.deepEqual(made.placeholders, { OLD: "old", NEW: "new" });
  assert.deepEqual(made.secret_files, { git: "git", "api.key": "api", new: "new" });
  const other = instantiate(whole, { secrets_override: [{ key: "x", env: "X" }] });
  assert.deepEqual([other.placeholders, other.secret_files], [{ OLD: "old", X: "x" }, {}]);
  assert.deepEqual(instantiate(whole, { secrets_override: [] }).placeholders, { OLD: "old" });
});

Deno.test("a secret's file is a plain name, whoever wrote it", () => {
  for (
    const wrong of [
      { key: "k", file: "../payload.json" },
      { key: "k", file: "a/b" },
      { key: "k", file: ".hidden" },
      { key: "k", file: "" },
      { key: "k", file: "x\0y" },
      { key: "k", env: "A B" },
      { key: "k" },
      { key: "", env: "A" },
    ]
  ) {
    assert.throws(
      () => instantiate({ command: ["a"] }, { secrets_override: [wrong] }),
      (thrown) => thrown instanceof TemplateError && thrown.code === "bad-secret",
      JSON.stringify(wrong),
    );
    const template = { description: "it", command: ["a"], secrets: [wrong] };
    assert.deepEqual(validateTemplate(template).map(({ field }) => field), ["secrets[0]"]);
  }
  const twice = { description: "it", command: ["a"], secrets: [{ key: "a", env: "A" }] };
  assert.deepEqual(validateTemplate(twice), []);
  assert.equal(validateTemplate({ ...twice, environment_variables: { A: "1" } }).length, 1);
  const double = [...twice.secrets, { key: "b", env: "A" }];
  assert.equal(validateTemplate({ ...twice, secrets: double }).length, 1);
});
