// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod/mini";
import { canonicalJson } from "../canonical/mod.ts";
import { Template } from "../schema/events.ts";
import { formatTemplateRef } from "../ref/mod.ts";
import {
  builtinTemplates,
  EGRESS_PRESETS,
  expandVariables,
  type FetchTemplate,
  instantiate,
  mergeTemplates,
  noEgress,
  resolveEgress,
  resolveTemplate,
  templateDigest,
  TemplateError,
  validateTemplate,
} from "./mod.ts";

const book = (templates: Record<string, Template>, seen: string[] = []): FetchTemplate => (ref) => {
  seen.push(ref.name);
  const found = templates[ref.name];
  return found === undefined
    ? Promise.reject(new Error(`no template ${formatTemplateRef(ref)}`))
    : Promise.resolve(found);
};
const codeIs = (code: string) => (error: unknown) =>
  error instanceof TemplateError && error.code === code;

Deno.test("resolveTemplate() merges parents left to right when there are several", async () => {
  const seen: string[] = [];
  const resolved = await resolveTemplate(
    "r:child",
    book({
      root: {
        description: "root",
        command: ["root"],
        environment_variables: { A: "root", R: "r" },
      },
      left: { inherits: ["r:root"], environment_variables: { A: "left", B: "left" } },
      right: { inherits: ["r:root"], environment_variables: { B: "right" }, isolation: "none" },
      child: { inherits: ["r:left", "r:right"], isolation: "", description: "child" },
    }, seen),
  );
  assert.deepEqual(resolved, {
    description: "child",
    isolation: "none",
    command: ["root"],
    // The right parent brings the root's A again.
    environment_variables: { A: "root", R: "r", B: "right" },
  });
  assert.deepEqual(seen, ["child", "left", "root", "right"], "each is fetched once");
});

Deno.test("resolveTemplate() names the loop when a template inherits itself", async () => {
  const loop = book({
    a: { inherits: ["r:b"] },
    b: { inherits: ["r:c"] },
    c: { inherits: ["r:b"] },
  });
  await assert.rejects(
    resolveTemplate("r:a", loop),
    (error) => codeIs("cycle")(error) && (error as Error).message.includes("r:b → r:c → r:b"),
  );
  let next = 0;
  const endless: FetchTemplate = () => Promise.resolve({ inherits: [`r:t${next++}`] });
  await assert.rejects(resolveTemplate("r:a", endless), codeIs("too-many"));
  await assert.rejects(resolveTemplate("r:gone", book({})), /no template r:gone/);
  await assert.rejects(resolveTemplate("r:a", book({ a: { inherits: ["nonsense"] } })));
});

Deno.test("resolveTemplate() finds a loop exactly when the graph has one", async () => {
  const size = 5;
  const edges = fc.array(fc.array(fc.nat(size - 1), { maxLength: 2 }), {
    minLength: size,
    maxLength: size,
  });
  await fc.assert(fc.asyncProperty(edges, async (graph) => {
    const reaches = (from: number, to: number, seen = new Set<number>()): boolean =>
      graph[from]!.some((n) => n === to || (!seen.has(n) && reaches(n, to, seen.add(n))));
    const cyclic = graph.some((_, n) => (n === 0 || reaches(0, n)) && reaches(n, n));
    const templates = Object.fromEntries(
      graph.map((
        parents,
        n,
      ) => [`t${n}`, { create_dirs: [`/${n}`], inherits: parents.map((p) => `r:t${p}`) }]),
    );
    const resolved = await resolveTemplate("r:t0", book(templates)).catch((error) => {
      assert.ok(codeIs("cycle")(error), String(error));
      return null;
    });
    assert.equal(resolved === null, cyclic);
    const expected = graph.map((_, n) => n).filter((n) => n === 0 || reaches(0, n)).map((n) =>
      `/${n}`
    );
    if (resolved !== null) assert.deepEqual([...resolved.create_dirs!].sort(), expected.sort());
  }));
});

Deno.test("mergeTemplates() follows its table when both sides speak", () => {
  const merged = mergeTemplates({
    description: "p",
    command: ["p", "1"],
    resources: { memory_limit_mb: 1, pids_limit: 2 },
    prepend_variables: { PATH: ["/p", "/both"], LIB: ["/l"] },
    filesystem: [{ dest: "/a", source: "/p" }, { dest: "/w/", source: "/p", mode: "rw" }],
    create_dirs: ["/x", "/y"],
    devices: ["kvm"],
    protected_paths: ["a"],
    sysroot: "host",
    hostname: "one",
    seccomp: "networkless",
    egress: { allow: ["a:1", "b:1"] },
    authorization: { grants: [{ actions: ["a"] }], denials: [{ actions: ["d"] }] },
    recording: { enabled: true, keep_days: 5 },
    restart_policy: "never",
    inherits: ["r:gone"],
  }, {
    command: ["c"],
    recording: { enabled: false },
    resources: { pids_limit: 9 },
    prepend_variables: { PATH: ["/c", "/both"] },
    filesystem: [{ dest: "/w", source: "/c" }],
    create_dirs: ["/y", "/z"],
    devices: ["kvm", "dri?"],
    protected_paths: ["b"],
    sysroot: { rootfs: "/r" },
    egress: { allow: ["b:1", "c:1"] },
    authorization: { grants: [{ actions: ["a"] }, { actions: ["b"] }] },
    restart_policy: "always",
  });
  assert.deepEqual(merged, {
    description: "p",
    command: ["c"],
    resources: { pids_limit: 9 },
    prepend_variables: { PATH: ["/c", "/both", "/p"], LIB: ["/l"] },
    filesystem: [{ dest: "/a", source: "/p" }, { dest: "/w", source: "/c" }],
    create_dirs: ["/x", "/y", "/z"],
    devices: ["kvm", "dri?"],
    protected_paths: ["a", "b"],
    sysroot: { rootfs: "/r" },
    hostname: "one",
    seccomp: "networkless",
    egress: { allow: ["a:1", "b:1", "c:1"] },
    authorization: {
      grants: [{ actions: ["a"] }, { actions: ["b"] }],
      denials: [{ actions: ["d"] }],
    },
    recording: { enabled: false, keep_days: 5 },
    restart_policy: "always",
  });
});

const word = fc.constantFrom("a", "b", "c", "__proto__");
const words = fc.array(word, { maxLength: 3 });
const template: fc.Arbitrary<Template> = fc.record({
  description: word,
  isolation: fc.constantFrom("" as const, "standard" as const, "none" as const),
  command: words,
  environment: fc.constantFrom("", "/nix/e"),
  environment_variables: fc.dictionary(word, word),
  prepend_variables: fc.dictionary(word, words),
  filesystem: fc.uniqueArray(fc.record({ dest: word.map((w) => `/${w}`), source: word }), {
    selector: (mount) => mount.dest,
  }),
  create_dirs: words,
  devices: words,
  protected_paths: words,
  sysroot: fc.constantFrom("host" as const, { rootfs: "/r" }, { nix: "/n" }),
  hostname: fc.constantFrom("a", "b"),
  seccomp: fc.constantFrom("default" as const, "networkless" as const),
  required_services: words,
  secrets: fc.uniqueArray(fc.record({ key: word, env: word }), { selector: ({ key }) => key }),
  default_payload: fc.dictionary(word, fc.nat()),
  egress: fc.record({ allow: words }),
  recording: fc.record({ enabled: fc.boolean(), keep_days: fc.nat() }, { requiredKeys: [] }),
  authorization: fc.record({
    grants: fc.array(fc.record({ actions: words })),
    denials: fc.array(fc.record({ actions: words })),
  }, { requiredKeys: [] }),
  restart_policy: fc.constantFrom("always" as const, "never" as const),
}, { requiredKeys: [] });

Deno.test("mergeTemplates() is associative when three are merged", () => {
  fc.assert(
    fc.property(template, template, template, (a, b, c) => {
      assert.equal(
        canonicalJson(mergeTemplates(mergeTemplates(a, b), c)),
        canonicalJson(mergeTemplates(a, mergeTemplates(b, c))),
      );
    }),
    { numRuns: 1000 },
  );
});

Deno.test("mergeTemplates() loses no entry of the parent when the child adds its own", () => {
  fc.assert(fc.property(template, template, (parent, child) => {
    const merged = mergeTemplates(parent, child);
    const has = (list: unknown[] | undefined, items: unknown[] | undefined) => {
      const texts = new Set((list ?? []).map((item) => canonicalJson(item)));
      for (const item of items ?? []) assert.ok(texts.has(canonicalJson(item)));
      assert.equal(texts.size, list?.length ?? 0, "each once");
    };
    for (const side of [parent, child]) {
      has(merged.create_dirs, side.create_dirs);
      has(merged.required_services, side.required_services);
      has(merged.egress?.allow, side.egress?.allow);
      has(merged.authorization?.grants, side.authorization?.grants);
      has(merged.authorization?.denials, side.authorization?.denials);
      const dests = merged.filesystem?.map((mount) => mount.dest);
      has(dests, side.filesystem?.map((mount) => mount.dest));
      has(
        Object.keys(merged.environment_variables ?? {}),
        Object.keys(side.environment_variables ?? {}),
      );
    }
  }));
});

Deno.test("templateDigest() changes when anything in the template does", async () => {
  const digest = await templateDigest({ command: ["a"] });
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.equal(await templateDigest(JSON.parse('{"command":["a"]}')), digest);
  assert.notEqual(await templateDigest({ command: ["b"] }), digest);
  assert.notEqual(await templateDigest({ command: ["a"], authorization: {} }), digest);
});

Deno.test("templateDigest() of a template from before the newer fields is what it was", async () => {
  const old = z.parse(Template, {
    description: "An isolated process: its own namespaces, no network, an empty /tmp",
    command: ["/bin/sh"],
    filesystem: [{ dest: "/tmp", type: "tmpfs", options: "size=67108864" }],
  });
  assert.equal(
    await templateDigest(mergeTemplates({}, old)),
    "5aa3d94a13b02d1633e2f1f16deb89459007aff26c6f4e253ca374e285559898",
  );
});

Deno.test("expandVariables() looks at nothing but its variables when a name is unknown", () => {
  assert.equal(expandVariables("a${X}b${X}$Y", { X: "${X}" }, "t"), "a${X}b${X}$Y");
  assert.throws(() => expandVariables("${HOME}", {}, "t"), codeIs("unknown-variable"));
  assert.throws(() => expandVariables("${toString}", {}, "t"), codeIs("bad-variable"));
  assert.throws(() => expandVariables("${__PROTO__}", {}, "t"), codeIs("unknown-variable"));
  for (const bad of ["${", "${}", "${a}", "${A-B}", "${A"]) {
    assert.throws(() => expandVariables(bad, { A: "" }, "t"), codeIs("bad-variable"), bad);
  }
});

Deno.test("instantiate() expands and overrides when the built-in scribe is assigned", async () => {
  const scribe = await resolveTemplate("bureau/template:scribe", book({ ...builtinTemplates }));
  const variables = {
    AGENT_DIR: "/srv/agents/scribe",
    WORKSPACE: "/srv/workspaces/x",
    TIMESTAMP_URL: "https://127.0.0.1:8443/tsa",
    TIMESTAMP_HOST: "127.0.0.1:8443",
  };
  const spec = instantiate(scribe, {
    variables: { ...variables, HOMESERVER_HOST: "evil:1" },
    payload: { document: "README.md" },
    extra_environment_variables: { HOME: "/scratch", WHO: "${WORKSPACE}" },
    egress: { allow: ["extra.example:443"] },
  }, { HOMESERVER_HOST: "127.0.0.1:6167" });
  assert.deepEqual(spec, {
    isolation: "standard",
    command: ["/opt/agent/scribe"],
    environment_variables: {
      HOME: "/scratch",
      LANG: "C.UTF-8",
      PATH: "/usr/local/bin:/usr/bin:/bin",
      BUREAU_PROXY_SOCKET: "/run/bureau/proxy.sock",
      WHO: "/srv/workspaces/x",
    },
    prepend_variables: {},
    filesystem: [
      { dest: "/tmp", type: "tmpfs", options: "size=67108864" },
      { source: "/srv/agents/scribe", dest: "/opt/agent", mode: "ro" },
      { source: "/srv/workspaces/x", dest: "/workspace", mode: "ro" },
      { dest: "/scratch", type: "tmpfs", options: "size=67108864" },
    ],
    resources: {},
    create_dirs: ["/workspace"],
    sysroot: "host",
    devices: [],
    bridge: false,
    service: null,
    budgets: null,
    placeholders: {},
    secret_files: {},
    ssh_keys: {},
    protected_paths: [],
    hostname: null,
    seccomp: "default",
    roles: {},
    required_credentials: ["TIMESTAMP_API_KEY"],
    required_services: [],
    optional_services: [],
    payload: { document: "README.md" },
    reload: null,
    health: null,
    recording: {},
    proxy_services: {
      timestamp: {
        upstream: "https://127.0.0.1:8443/tsa",
        inject_headers: { "X-Api-Key": "TIMESTAMP_API_KEY" },
      },
    },
    egress: {
      allow: ["127.0.0.1:6167", "127.0.0.1:8443", "extra.example:443"],
      deny: [],
      requests: { allow: [], deny: [] },
      ask: noEgress.ask,
    },
    authorization: {
      grants: [
        { actions: ["matrix/read", "matrix/send/m.room.message"] },
        { actions: ["http/timestamp", "matrix/state/m.bureau.report"] },
      ],
    },
    restart_policy: "always",
  });
  assert.throws(() => instantiate(scribe, { variables }), codeIs("unknown-variable"));
});

Deno.test("instantiate() refuses when the template can't run as it stands", () => {
  assert.throws(() => instantiate({}, {}), codeIs("no-command"));
  assert.throws(
    () => instantiate({ command: ["a"] }, { command_override: [] }),
    codeIs("no-command"),
  );
  assert.throws(() => instantiate({ command: ["a"], inherits: ["r:b"] }, {}), codeIs("unresolved"));
  assert.throws(
    () => instantiate({ command: ["a"] }, { variables: { A: "\0" } }),
    codeIs("bad-variable"),
  );
  assert.deepEqual(instantiate({ command: ["a"] }, { command_override: ["b"] }).command, ["b"]);
});

Deno.test("validateTemplate() passes every built-in, and their schema keeps them whole", async () => {
  for (const [name, built] of Object.entries(builtinTemplates)) {
    assert.deepEqual(validateTemplate(built), [], name);
    assert.deepEqual(Template.parse(built), built);
    await templateDigest(
      await resolveTemplate(`bureau/template:${name}`, book({ ...builtinTemplates })),
    );
  }
});

Deno.test("validateTemplate() finds each fault when a template has one", () => {
  const good: Template = { description: "d", command: ["a"] };
  const faults: [Template, string][] = [
    [{ command: ["a"] }, "description"],
    [{ description: "d" }, "command"],
    [{ ...good, inherits: ["x"] }, "inherits[0]"],
    [{ ...good, filesystem: [{ dest: "a", source: "/a" }] }, "filesystem[0].dest"],
    [{ ...good, filesystem: [{ dest: "/a/../b", source: "/a" }] }, "filesystem[0].dest"],
    [{ ...good, filesystem: [{ dest: "/a" }] }, "filesystem[0].source"],
    [{ ...good, filesystem: [{ dest: "/a", source: "/${X}/../b" }] }, "filesystem[0].source"],
    [
      { ...good, filesystem: [{ dest: "/a", type: "tmpfs", source: "/a" }] },
      "filesystem[0].source",
    ],
    [
      { ...good, filesystem: [{ dest: "/a", type: "tmpfs", options: "size=1G" }] },
      "filesystem[0].options",
    ],
    [
      { ...good, filesystem: [{ dest: "/a", source: "/a" }, { dest: "/a/", source: "/b" }] },
      "filesystem[1].dest",
    ],
    [{ ...good, resources: { pids_limit: -1 } }, "resources.pids_limit"],
    [{ ...good, resources: { cpu_shares: 0.5 } }, "resources.cpu_shares"],
    [{ ...good, create_dirs: ["a"] }, "create_dirs[0]"],
    [{ ...good, sysroot: { rootfs: "/a/../b" } }, "sysroot"],
    [{ ...good, sysroot: { nix: "store" } }, "sysroot"],
    [{ ...good, devices: ["gpu"] }, "devices[0]"],
    [{ ...good, devices: ["/dev/../etc/shadow"] }, "devices[0]"],
    [{ ...good, protected_paths: ["/etc"] }, "protected_paths[0]"],
    [{ ...good, protected_paths: ["a/../.."] }, "protected_paths[0]"],
    [{ ...good, hostname: "two words" }, "hostname"],
    [{ ...good, prepend_variables: { PATH: ["/a:/b"] } }, "prepend_variables.PATH"],
    [{ ...good, environment_variables: { "A=B": "" } }, "environment_variables.A=B"],
    [{ ...good, environment_variables: { A: "${b}" } }, "environment_variables.A"],
    [{ ...good, roles: { r: [] } }, "roles.r"],
    [{ ...good, proxy_services: { "a/b": { upstream: "https://x" } } }, "proxy_services.a/b"],
    [{ ...good, proxy_services: { a: { upstream: "ftp://x" } } }, "proxy_services.a.upstream"],
    [
      {
        ...good,
        proxy_services: { a: { upstream: "https://x", inject_headers: { "A: b": "c" } } },
      },
      "proxy_services.a.inject_headers",
    ],
    [{ ...good, egress: { allow: ["example.com"] } }, "egress.allow[0]"],
    [{ ...good, egress: { allow: ["*:443"] } }, "egress.allow[0]"],
    [{ ...good, egress: { allow: [], deny: ["*:443"] } }, "egress.deny[0]"],
    [{ ...good, egress: { allow: [{ host: "*:443" }] } }, "egress.allow[0].host"],
    [{ ...good, egress: { allow: [], ask: ["*:443", "x"] } }, "egress.ask[1]"],
    [{ ...good, egress: { allow: [], ask_timeout: 5 } }, "egress.ask_timeout"],
    [{ ...good, egress: { allow: [{ host: "example.com" }] } }, "egress.allow[0].host"],
    [
      { ...good, egress: { allow: [{ host: "a.test:1", paths: ["/v1"] }] } },
      "egress.allow[0].paths",
    ],
    [
      { ...good, egress: { allow: [], deny: [{ host: "a.test:1", methods: ["get"] }] } },
      "egress.deny[0].methods",
    ],
    [{ ...good, placeholders: { "A-B": "x" } }, "placeholders.A-B"],
    [{ ...good, placeholders: { A: "x" }, environment_variables: { A: "" } }, "placeholders.A"],
    [{ ...good, egress: { allow: ["https://example.com:443"] } }, "egress.allow[0]"],
    [{ ...good, authorization: { grants: [{ actions: ["a**"] }] } }, "authorization"],
    [{ ...good, default_payload: { a: 0.5 } }, ""],
  ];
  assert.deepEqual(validateTemplate(good), []);
  for (const [faulty, field] of faults) {
    const fields = validateTemplate(faulty).map((problem) => problem.field);
    assert.ok(fields.includes(field), `${field}: ${JSON.stringify(fields)}`);
  }
});

Deno.test("resolveEgress() replaces presets and keeps what it does not know, which allows nothing", () => {
  const same = (entry: string) => entry;
  assert.deepEqual(
    resolveEgress(
      { allow: ["preset:npm", "a.test:443"], deny: ["preset:github"] },
      { allow: ["a.test:443", "preset:nope"] },
      same,
    ),
    {
      allow: ["registry.npmjs.org:443", "a.test:443", "preset:nope"],
      deny: [...EGRESS_PRESETS["github"]!.hosts],
      requests: { allow: [], deny: [] },
      ask: noEgress.ask,
    },
  );
  assert.deepEqual(resolveEgress(undefined, undefined, same), noEgress);
  assert.deepEqual(
    resolveEgress(
      { allow: [], ask: ["*:443", "preset:npm"], ask_timeout: 30 },
      { allow: [], ask: ["*:443", "${H}:80"], ask_timeout: 100_000 },
      (entry) => entry.replace("${H}", "h.test"),
    ).ask,
    // A person's patience has bounds; the assignment's word is the later one.
    { hosts: ["*:443", "registry.npmjs.org:443", "h.test:80"], timeoutMs: 540_000 },
  );
});

Deno.test("resolveEgress() gives the gate the hosts and the proxy the requests", () => {
  const resolved = resolveEgress(
    {
      allow: ["a.test:443", { host: "${API}:443", paths: ["v1/**"] }, { host: "b.test:443" }],
      deny: [
        { host: "a.test:443", methods: ["DELETE"] },
        { host: "c.test:443" },
        { host: "nonsense", methods: ["DELETE"] },
      ],
    },
    undefined,
    (entry) => entry.replace("${API}", "api.test"),
  );
  assert.deepEqual(resolved.allow, ["a.test:443", "api.test:443", "b.test:443"]);
  // What can't be read denies everything, as everywhere in this list.
  assert.deepEqual(resolved.deny, ["c.test:443", "nonsense"]);
  assert.deepEqual(resolved.requests.allow, [{ host: "api.test:443", paths: ["v1/**"] }]);
  assert.equal(resolved.requests.deny.length, 2);
});

const valid: Template = { description: "d", command: ["/bin/true"] };

Deno.test("every egress preset is a list of hosts that a template may write itself", () => {
  for (const [name, { hosts, brief, source }] of Object.entries(EGRESS_PRESETS)) {
    assert.ok(hosts.length > 0 && brief !== "", name);
    assert.match(source, /^https:\/\//, name);
    assert.deepEqual(validateTemplate({ ...valid, egress: { allow: [...hosts] } }), [], name);
    assert.deepEqual(validateTemplate({ ...valid, egress: { allow: [`preset:${name}`] } }), []);
  }
  assert.match(
    validateTemplate({ ...valid, egress: { allow: ["preset:nope"], deny: ["x"] } })
      .map(({ field, message }) => `${field}: ${message}`).join("\n"),
    /egress\.allow\[0\]: there is no such preset; there are npm.*\negress\.deny\[0\]: must be/,
  );
});
