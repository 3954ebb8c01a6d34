// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  completeSpec,
  MAX_SPEC_BYTES,
  parseSpec,
  pathComponent,
  type ProvisionInput,
  type ProvisionSpec,
  readSpec,
  secretsOf,
  SpecError,
  writeSpec,
} from "./mod.ts";

const example: ProvisionInput = {
  version: 1,
  identity: {
    child_id: "c1",
    parent_id: "p1",
    project_key: "proj",
    role: "researcher",
  },
  executor: { kind: "echo" },
  fabric_dir: "/tmp/fabric",
  model: { provider: "anthropic", model: "claude-sonnet-4-6" },
  secrets: { provider_credentials: [{ provider: "anthropic", api_key: "sk-test" }] },
};

const MINIMAL = '{"version":1,"identity":{"child_id":"c9"},' +
  '"executor":{"kind":"echo"},"fabric_dir":"/tmp/f"}';

/** The example's JSON, changed. */
function changed(change: (json: Record<string, never>) => void): string {
  const json = JSON.parse(writeSpec(example));
  change(json);
  return JSON.stringify(json);
}

function codeOf(text: string): string | null {
  try {
    parseSpec(text);
    return null;
  } catch (thrown) {
    return (thrown as SpecError).code;
  }
}

Deno.test("a spec is written as the contract's first writer writes it", () => {
  assert.equal(
    writeSpec(example),
    '{"version":1,' +
      '"identity":{"child_id":"c1","parent_id":"p1","project_key":"proj","role":"researcher","depth":0},' +
      '"executor":{"kind":"echo"},"fabric_dir":"/tmp/fabric",' +
      '"model":{"provider":"anthropic","model":"claude-sonnet-4-6"},"limits":{},' +
      '"secrets":{"provider_credentials":[{"provider":"anthropic","api_key":"sk-test"}]},' +
      '"reusable":false,"placement":{"kind":"local"},' +
      '"capabilities":{"enforce_permissions":false,"nested_spawn":false,"bypass":false,' +
      '"no_human_approver":false,"guardian_read_only":false}}',
  );
});

Deno.test("the minimal spec of an older writer has every default", () => {
  assert.deepEqual(parseSpec(`\n\t ${MINIMAL} \r\n`), {
    version: 1,
    identity: { child_id: "c9", role: "", depth: 0 },
    executor: { kind: "echo" },
    fabric_dir: "/tmp/f",
    limits: {},
    secrets: { provider_credentials: [] },
    reusable: false,
    placement: { kind: "local" },
    capabilities: {
      enforce_permissions: false,
      nested_spawn: false,
      bypass: false,
      no_human_approver: false,
      guardian_read_only: false,
    },
  });
});

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const path = fc.array(fc.stringMatching(/^[a-z0-9 é]{1,8}$/), { maxLength: 3 })
  .map((parts) => `/${parts.join("/")}`);
const spec: fc.Arbitrary<ProvisionInput> = fc.record({
  version: fc.constant(1 as const),
  identity: fc.record({
    child_id: id,
    parent_id: text,
    project_key: text,
    role: text,
    depth: u32,
  }, { requiredKeys: ["child_id"] }),
  executor: fc.oneof(
    fc.constant({ kind: "echo" as const }),
    fc.constant({ kind: "bamboo_runtime" as const }),
    fc.record({ kind: fc.constant("cli_adapter" as const), command: text, args: fc.array(text) }),
  ),
  fabric_dir: path,
  storage_dir: path,
  workspace: path,
  model: fc.record({ provider: text, model: text }),
  disabled_tools: fc.array(text),
  limits: fc.record({
    run_timeout_secs: fc.nat(),
    idle_timeout_secs: fc.nat(),
    max_rounds: u32,
  }, { requiredKeys: [] }),
  secrets: fc.record({
    provider_credentials: fc.array(
      fc.record({ provider: text, api_key: text, base_url: text, provider_type: text }, {
        requiredKeys: ["provider", "api_key"],
      }),
    ),
  }),
  reusable: fc.boolean(),
  placement: fc.oneof(
    fc.constant({ kind: "local" as const }),
    fc.record({ kind: fc.constant("remote" as const), endpoint: text }),
    fc.record({ kind: fc.constant("schedulable" as const), pool: text }),
  ),
  capabilities: fc.record({
    mcp: fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null)
      // -0 has no JSON of its own.
      .map((value) => JSON.parse(JSON.stringify(value))),
    skills_dir: path,
    enforce_permissions: fc.boolean(),
    nested_spawn: fc.boolean(),
    max_spawn_depth: u32,
    bypass: fc.boolean(),
    no_human_approver: fc.boolean(),
    guardian_read_only: fc.boolean(),
  }, { requiredKeys: [] }),
}, { requiredKeys: ["version", "identity", "executor", "fabric_dir"] }) as fc.Arbitrary<
  ProvisionInput
>;

Deno.test("what is written is read as it was, however it came to be", () => {
  fc.assert(fc.property(spec, (input) => {
    const written = writeSpec(input);
    const read = parseSpec(written);
    assert.deepEqual(read, completeSpec(input));
    assert.equal(writeSpec(read), written);
    assert.ok(!/"(?!mcp)[a-z_]+":null/.test(JSON.stringify({ ...read, capabilities: {} })));
  }));
});

/** Objects of the contract, by a path into it. */
const OBJECTS = [
  [],
  ["identity"],
  ["executor"],
  ["model"],
  ["limits"],
  ["secrets"],
  ["secrets", "provider_credentials", 0],
  ["placement"],
  ["capabilities"],
] as const;

function at(json: unknown, path: readonly (string | number)[]): Record<string, unknown> {
  let place = json;
  for (const key of path) place = (place as Record<string | number, unknown>)[key];
  return place as Record<string, unknown>;
}

Deno.test("unknown fields are ignored at every level, even twice", () => {
  const known = parseSpec(writeSpec(example));
  for (const path of OBJECTS) {
    const text = changed((json) => Object.assign(at(json, path), { future: { x: [null, 1.5] } }));
    assert.deepEqual(parseSpec(text), known, path.join("."));
    assert.deepEqual(parseSpec(text.replace('"future":', '"future":1,"future":')), known);
  }
  // A name with a dot is no path.
  assert.deepEqual(
    parseSpec(changed((json) => Object.assign(json, { "identity.depth": 1.5 }))),
    known,
  );
});

Deno.test("null is a missing optional field, and no default", () => {
  const optional = {
    identity: ["parent_id", "project_key"],
    limits: ["run_timeout_secs", "idle_timeout_secs", "max_rounds"],
    capabilities: ["mcp", "skills_dir", "mcp_proxy", "max_spawn_depth"],
    "": ["storage_dir", "workspace", "model", "disabled_tools"],
    secrets: ["worker_auth_token"],
    "secrets.provider_credentials.0": ["base_url", "provider_type"],
  };
  const defaulted = {
    identity: ["role", "depth"],
    capabilities: [
      "enforce_permissions",
      "nested_spawn",
      "bypass",
      "no_human_approver",
      "guardian_read_only",
    ],
    "": ["limits", "secrets", "reusable", "placement", "capabilities"],
    secrets: ["provider_credentials"],
  };
  const set = (place: string, key: string, value: unknown) =>
    changed((json) => {
      const path = place === "" ? [] : place.split(".");
      Object.assign(at(json, path), { [key]: value });
    });
  for (const [place, keys] of Object.entries(optional)) {
    for (const key of keys) {
      const read = parseSpec(set(place, key, null));
      assert.equal(writeSpec(read).includes(`"${key}"`), false, `${place}.${key}`);
      assert.deepEqual(Object.values(read).includes(undefined as never), false);
    }
  }
  for (const [place, keys] of Object.entries(defaulted)) {
    for (const key of keys) {
      assert.equal(codeOf(set(place, key, null)), "spec-invalid", `${place}.${key}`);
      const missing = changed((json) => {
        delete at(json, place === "" ? [] : place.split("."))[key];
      });
      assert.equal(codeOf(missing), null, `${place}.${key} is missing`);
    }
  }
});

Deno.test("the tags of executors and placements are stable, and others are refused", () => {
  const cli = { kind: "cli_adapter", command: "claude", args: ["-p"] };
  for (const executor of [{ kind: "echo" }, { kind: "bamboo_runtime" }, cli]) {
    const read = parseSpec(changed((json) => Object.assign(json, { executor })));
    assert.deepEqual(read.executor, executor);
  }
  const remote = { kind: "remote", endpoint: "wss://gpu-host:8443" };
  for (const placement of [{ kind: "local" }, remote, { kind: "schedulable", pool: "gpu" }]) {
    const read = parseSpec(changed((json) => Object.assign(json, { placement })));
    assert.deepEqual(JSON.parse(writeSpec(read)).placement, placement);
  }
  for (
    const part of [
      { executor: { kind: "Echo" } },
      { executor: { kind: "cli_adapter", command: "claude" } },
      { executor: { kind: "cli_adapter", args: [] } },
      { executor: { ...cli, args: [null] } },
      { placement: { kind: "cloud" } },
      { placement: { kind: "remote" } },
      { placement: {} },
    ]
  ) {
    const text = changed((json) => Object.assign(json, part));
    assert.equal(codeOf(text), "spec-invalid", JSON.stringify(part));
  }
});

Deno.test("a known key that stands there twice, and a wrong type, are errors that name the place", () => {
  const twice: readonly (readonly [string, string, string])[] = [
    ['"version":1', '"version":1,"version":1', "version"],
    ['"child_id":"c1"', '"child_id":"c1","ch\\u0069ld_id":"c2"', "identity.child_id"],
    ['"kind":"echo"', '"kind":"echo","kind":"echo"', "executor.kind"],
    ['"api_key":', '"api_key":"a","api_key":', "secrets.provider_credentials.api_key"],
    ['"bypass":false', '"bypass":false,"bypass":true', "capabilities.bypass"],
  ];
  for (const [from, to, place] of twice) {
    const text = writeSpec(example).replace(from, to);
    assert.throws(() => parseSpec(text), (thrown: SpecError) => {
      return thrown.code === "spec-invalid" && thrown.message.includes(`${place}: there twice`);
    }, place);
  }
  const wrong: readonly (readonly [(json: Record<string, never>) => void, string])[] = [
    [(json) => Object.assign(json["identity"]!, { child_id: 7 }), "identity.child_id"],
    [(json) => Object.assign(json["identity"]!, { child_id: "" }), "identity.child_id"],
    [(json) => Object.assign(json["identity"]!, { depth: -1 }), "identity.depth"],
    [(json) => Object.assign(json["identity"]!, { depth: 2 ** 32 }), "identity.depth"],
    [(json) => Object.assign(json["identity"]!, { depth: "1" }), "identity.depth"],
    [(json) => Object.assign(json["limits"]!, { max_rounds: 1.5 }), "limits.max_rounds"],
    [(json) => Object.assign(json, { version: 0 }), "version"],
    [(json) => Object.assign(json, { version: "1" }), "version"],
    [(json) => Object.assign(json, { reusable: "yes" }), "reusable"],
    [(json) => Object.assign(json, { fabric_dir: "fabric" }), "fabric_dir"],
    [(json) => Object.assign(json, { storage_dir: "/a/../b" }), "storage_dir"],
    [(json) => Object.assign(json, { workspace: "/a\0b" }), "workspace"],
    [(json) => Object.assign(json, { model: { provider: "x" } }), "model.model"],
    [(json) => Object.assign(json, { disabled_tools: "Bash" }), "disabled_tools"],
    [(json) => Object.assign(json, { identity: "\ud800" }), "identity"],
  ];
  for (const [change, place] of wrong) {
    assert.throws(() => parseSpec(changed(change)), (thrown: SpecError) => {
      return thrown.code === "spec-invalid" && thrown.message.includes(place);
    }, place);
  }
  const fraction = writeSpec(example).replace('"depth":0', '"depth":1.0');
  assert.throws(() => parseSpec(fraction), /identity\.depth: not written as digits alone/);
  // 64 bits of the contract, of which JavaScript has 53.
  const long = writeSpec(example)
    .replace('"limits":{}', '"limits":{"run_timeout_secs":18446744073709549568}');
  assert.equal(parseSpec(long).limits.run_timeout_secs, Number.MAX_SAFE_INTEGER);
});

Deno.test("each way to fail has its own code", () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ["", "spec-empty"],
    [" \n", "spec-empty"],
    ["[]", "spec-malformed"],
    ["null", "spec-malformed"],
    ["spec", "spec-malformed"],
    [`${MINIMAL} x`, "spec-malformed"],
    [`${MINIMAL}${MINIMAL}`, "spec-malformed"],
    [MINIMAL.replace("1", "01"), "spec-malformed"],
    [MINIMAL.replace(':"c9"', ":'c9'"), "spec-malformed"],
    [MINIMAL.replace('"version":1', '"version":2'), "spec-newer"],
    ['{"version":7,"shape":[]}', "spec-newer"],
    [`{"x":${"[".repeat(5000)}${"]".repeat(5000)}}`, "spec-malformed"],
    [MINIMAL.replace("{", '{"x":1e999,'), "spec-invalid"],
    [MINIMAL, null],
  ];
  for (const [text, code] of cases) assert.equal(codeOf(text), code, text.slice(0, 80));
  // Wherever it was cut, it says so.
  const whole = writeSpec(example);
  for (let length = 1; length < whole.length; length++) {
    assert.equal(codeOf(whole.slice(0, length)), "spec-truncated", whole.slice(0, length));
  }
});

Deno.test("no error says what stood in the spec", () => {
  const secret = "sk-ant-very-secret";
  const whole = writeSpec({
    ...example,
    secrets: { provider_credentials: [{ provider: "p", api_key: secret, base_url: secret }] },
  });
  const seen = new Set<string>();
  const look = (text: string) => {
    try {
      parseSpec(text);
    } catch (thrown) {
      const { message, hint, stack, cause } = thrown as SpecError;
      seen.add((thrown as SpecError).code);
      assert.ok(![message, hint, stack, String(cause)].join("\n").includes("sk-ant"), message);
      assert.equal(cause, undefined);
    }
  };
  for (let length = 1; length < whole.length; length++) {
    look(whole.slice(0, length));
    look(whole.slice(0, length) + whole.slice(length + 1));
  }
  look(whole.replace(`"${secret}"`, `["${secret}"]`));
  look(whole.replace('"echo"', `"${secret}"`));
  look(whole.replace('"version":1', `"version":"${secret}"`));
  look(whole.replace('"limits":{}', `"limits":"${secret}"`));
  look(whole.replace('"reusable":false', `"reusable":"${secret}"`));
  assert.deepEqual([...seen].sort(), ["spec-invalid", "spec-malformed", "spec-truncated"]);
});

Deno.test("mcp and mcp_proxy are not written together, and read as they stand", () => {
  const mcp_proxy = { orchestrator: "o", endpoint: "ws://x", token: "t0ken" };
  const capabilities = { mcp: { version: 1, servers: [null] }, mcp_proxy };
  assert.throws(() => writeSpec({ ...example, capabilities }), { code: "spec-invalid" });
  const read = parseSpec(
    changed((json) => Object.assign(json["capabilities"]!, capabilities)),
  ).capabilities;
  assert.deepEqual(read.mcp, capabilities.mcp);
  assert.deepEqual(read.mcp_proxy, mcp_proxy);
  for (const one of [{ mcp: capabilities.mcp }, { mcp_proxy }]) {
    const spec = parseSpec(writeSpec({ ...example, capabilities: one }));
    assert.deepEqual({ ...spec.capabilities, ...one }, spec.capabilities);
  }
});

Deno.test("secretsOf() names what must not come out", () => {
  const capabilities = {
    mcp: { servers: [{ url: "https://x/y", headers: { authorization: "abcdef0123456789" } }] },
  };
  assert.deepEqual(secretsOf(completeSpec({ ...example, capabilities })), [
    "sk-test",
    "abcdef0123456789",
  ]);
});

Deno.test("ids become one part of a path, each its own", async () => {
  for (const plain of ["c1", "A_b-9", "x".repeat(80), crypto.randomUUID()]) {
    assert.equal(await pathComponent(plain), plain);
  }
  const strange = ["..", ".", "a/b", "", "con", "LPT1", "x".repeat(81), "é", "a\0", "a.b", "\n"];
  const names = await Promise.all(strange.map(pathComponent));
  for (const name of names) assert.match(name, /^[0-9a-f]{1,32}\.[0-9a-f]{32}$/);
  assert.equal(new Set(names).size, names.length);
  // Not even its own name again.
  assert.notEqual(await pathComponent(names[0]!), names[0]);
});

function streamOf(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      }
      controller.close();
    },
  });
}

const read = (stdin: ReadableStream<Uint8Array>, more = {}): Promise<ProvisionSpec> =>
  readSpec({ stdin, isTerminal: false, ...more });

Deno.test("a spec is read from standard input, once, to its end", async () => {
  const spec = await read(streamOf(MINIMAL.slice(0, 30), MINIMAL.slice(30)));
  assert.equal(spec.identity.child_id, "c9");
  const max = { maxBytes: MINIMAL.length };
  assert.equal((await read(streamOf(MINIMAL), max)).version, 1);
  await assert.rejects(read(streamOf(MINIMAL, " "), max), { code: "spec-oversized" });
  await assert.rejects(read(streamOf()), { code: "spec-empty" });
  await assert.rejects(read(streamOf(MINIMAL.slice(0, 40))), { code: "spec-truncated" });
  await assert.rejects(read(streamOf(new Uint8Array([0x7b, 0xff]))), { code: "spec-not-utf8" });
  await assert.rejects(read(streamOf(MINIMAL), { isTerminal: true }), { code: "spec-terminal" });
  let cancelled = false;
  const never = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(MINIMAL)),
    cancel: () => {
      cancelled = true;
    },
  });
  await assert.rejects(read(never, { deadlineMs: 5 }), { code: "spec-late" });
  assert.ok(cancelled);
});

Deno.test("a writer without end is stopped at the cap, whatever it writes", async () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  let written = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      written += chunk.length;
      controller.enqueue(chunk.slice());
    },
  });
  await assert.rejects(read(endless), { code: "spec-oversized" });
  assert.ok(written <= MAX_SPEC_BYTES + 4 * chunk.length);
});
