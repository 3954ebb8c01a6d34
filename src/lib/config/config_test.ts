// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  ConfigError,
  configPath,
  configTemplate,
  MachineConfig,
  namesOf,
  readConfigFile,
  readMetricsPlace,
  readNotify,
  readPeer,
  readSecretFile,
  readSettings,
  readTelemetry,
  settingNames,
  SETTINGS,
  variableOf,
} from "./mod.ts";

const FILE = "/s/operator/bureau.yaml";
const stateDir = "/s";
const read = (text: string, environment: Record<string, string> = {}) =>
  readSettings({ file: { path: FILE, text }, environment, stateDir });

/** `<where>: <setting>: <message>` of each problem. */
function problems(act: () => unknown): string[] {
  try {
    act();
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError, String(thrown));
    return thrown.problems.map(({ where, setting, message }) => `${where} ${setting}: ${message}`);
  }
  return assert.fail("nothing was refused");
}

Deno.test("settings come from the file, the environment over it, each with where it stands", () => {
  assert.deepEqual(readSettings({ stateDir }), {});
  assert.deepEqual(read(""), {});
  assert.deepEqual(read("# nothing\n"), {});
  assert.deepEqual(
    read("# mine\nlisten: 127.0.0.1:7000\nagent: false\n", {
      BUREAU_LISTEN: "[::1]:8000",
      BUREAU_HOMESERVER: "",
      BUREAU_STATE_DIR: "/elsewhere",
    }),
    {
      listen: { value: "[::1]:8000", from: "BUREAU_LISTEN" },
      agent: { value: false, from: `${FILE}:3:1` },
    },
  );
  assert.equal(read("", { BUREAU_AGENT: "1" }).agent?.value, true);
});

Deno.test("every mistake is told at once, with its line and column", () => {
  assert.deepEqual(
    problems(() =>
      read("listen: nowhere\nlisetn: 127.0.0.1:1\nagent: maybe\n  \nhomeserver: ftp://x\n", {
        BUREAU_AUTHORITY: "localhost:70000",
        BUREAU_AGENT: "yes",
      })
    ),
    [
      `${FILE}:1:9 listen: takes HOST:PORT`,
      `${FILE}:2:1 lisetn: there is no such setting; do you mean listen?`,
      `${FILE}:3:8 agent: takes true or false`,
      `${FILE}:5:13 homeserver: takes an http(s) URL without a user name`,
      "BUREAU_AUTHORITY authority: takes HOST:PORT",
      "BUREAU_AGENT agent: takes true or false",
    ],
  );
});

for (
  const [why, text, wanted] of [
    ["no YAML", "listen: [1,\n", /^\S+:2:1 : /],
    ["a list", "- listen\n", /:1:1 : it is no list of settings/],
    ["a word", "listen\n", /:1:1 : it is no list of settings/],
    ["a setting twice", "repo: /a\nrepo: /b\n", /:2:1 : Map keys must be unique/],
    ["an unknown name", "colour: red\n", /:1:1 colour: .*there are homeserver, /],
    ["a number for a text", "listen: 6167\n", /:1:9 listen: takes HOST:PORT/],
    ["a list for a text", "repo:\n  - /a\n", /:2:3 repo: takes an absolute path/],
    ["nothing for a text", "repo:\n", /:1:\d+ repo: takes an absolute path/],
    ["a password in a URL", "homeserver: https://u:p@h\n", /:1:13 homeserver: takes/],
    ["a relative path", "repo: here\n", /:1:7 repo: takes an absolute path/],
    ["a comma in a path", "repo: /a,/b\n", /:1:7 repo: takes an absolute path/],
    [
      "a token file elsewhere",
      "registration_token_file: /etc/token\n",
      /:1:1 registration_token_file: must be below "\/s"/,
    ],
    [
      "a token file that climbs out",
      "registration_token_file: /s/../etc/token\n",
      /must be below/,
    ],
    ["aliases", "repo: &a /a\nlisten: *a\n", /:1:1 : aliases/],
  ] as const
) {
  Deno.test(`a configuration with ${why} is refused`, () => {
    const [first, ...more] = problems(() => read(text));
    assert.match(first!, wanted);
    assert.equal(more.length, 0);
  });
}

Deno.test("a message never repeats a value: it may be a secret in the wrong place", () => {
  const error = (() => {
    try {
      return read("homeserver: https://ada:hunter2@example.org\nlisten: hunter2\n");
    } catch (thrown) {
      return thrown as ConfigError;
    }
  })() as ConfigError;
  assert.ok(!`${error.message}${error.hint}`.includes("hunter2"));
});

Deno.test("every setting is declared, and the template is a file of comments that all work", () => {
  assert.deepEqual(Object.keys(SETTINGS), Object.keys(MachineConfig.shape));
  assert.equal(variableOf("registration_token_file"), "BUREAU_REGISTRATION_TOKEN_FILE");
  const tasks = new URL("../../../tasks/lib.sh", import.meta.url);
  const [, passed] = /^SETTINGS='([^']+)'/m.exec(Deno.readTextFileSync(tasks))!;
  assert.deepEqual(passed!.split(" "), settingNames.map(variableOf));
  assert.deepEqual(read(configTemplate()), {});
  const all = configTemplate().replaceAll(/^# ([a-z_]+: \S+)$/gm, "$1");
  const settings = readSettings({ file: { path: FILE, text: all }, stateDir: "/var/lib/bureau" });
  assert.deepEqual(Object.keys(settings), Object.keys(SETTINGS));
});

Deno.test("a file that others may write is not obeyed", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/bureau.yaml`;
    assert.equal(configPath("/s"), FILE);
    assert.equal(readConfigFile(path), null);
    await Deno.writeTextFile(path, "agent: false\n", { mode: 0o600 });
    assert.equal(readConfigFile(path), "agent: false\n");
    await Deno.chmod(path, 0o620);
    assert.match(problems(() => readConfigFile(path))[0]!, /somebody else may write it/);
    await Deno.remove(path);
    await Deno.mkdir(path, { mode: 0o700 });
    assert.match(problems(() => readConfigFile(path))[0]!, /it is no file/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** `bureau.yaml` with these lines below `notify:`. */
const notify = (...lines: string[]) =>
  readNotify({ file: { path: FILE, text: ["notify:", ...lines].join("\n") }, stateDir });

Deno.test("notify: targets with what they say, and names for those without", () => {
  assert.deepEqual(readNotify({ stateDir }), []);
  const targets = notify(
    "  - matrix: true",
    "  - webhook: http://127.0.0.1:9/hook",
    "    key_file: /s/operator/hook-key",
    "    states: [failed]",
    "    quiet_hours: 22:00-07:00",
    "    time_zone: Europe/Berlin",
    "  - name: phone",
    "    ntfy: https://ntfy.sh/topic",
    "  - ntfy: https://ntfy.sh/other",
    "    agents: [agent/*]",
    "    link: https://box/#/agent/{agent}",
    "  - ntfy: https://ntfy.sh/third",
  );
  assert.deepEqual(namesOf(targets), ["matrix", "webhook", "phone", "ntfy", "ntfy-2"]);
  assert.deepEqual(targets[1]?.states, ["failed"]);
});

for (
  const [why, lines, wanted] of [
    ["nothing", ["  - states: [failed]"], /:2:5 notify: each target has exactly one/],
    ["two kinds", ["  - matrix: true", "    ntfy: https://h/t"], /exactly one/],
    ["another state", ["  - matrix: true", "    states: [angry]"], /:3:14 notify: takes some of/],
    ["another field", ["  - matrix: true", "    colour: red"], /there is no "colour" in a target/],
    ["a password", ["  - webhook: https://u:hunter2@h/x"], /:2:14 notify: takes an http/],
    ["no topic", ["  - ntfy: https://ntfy.sh/"], /takes the URL of a topic/],
    ["a key elsewhere", ["  - webhook: https://h/", "    key_file: /etc/shadow"], /must be below/],
    ["a climbing key", ["  - webhook: https://h/", "    key_file: /s/operator/../x"], /below/],
    ["a key of none", ["  - matrix: true", "    key_file: /s/operator/k"], /belongs to a webhook/],
    [
      "a token in the clear",
      ["  - ntfy: http://ntfy.lan/t", "    token_file: /s/operator/t"],
      /with https, or on this machine/,
    ],
    ["a name twice", ["  - {name: a, matrix: true}", "  - {name: a, matrix: true}"], /of its own/],
    ["bad hours", ["  - matrix: true", "    quiet_hours: 25:00-07:00"], /HH:MM-HH:MM/],
    ["a bad zone", ["  - matrix: true", "    time_zone: Mars/Base"], /takes a time zone/],
    ["a word", ["  matrix"], /takes a list of targets/],
  ] as const
) {
  Deno.test(`notify: ${why} is refused, and no value repeated`, () => {
    const [first] = problems(() => notify(...lines));
    assert.match(first!, wanted);
    assert.ok(!first!.includes("hunter2"));
  });
}

const peer = (...lines: string[]) =>
  readPeer({ file: { path: FILE, text: ["peer:", ...lines].join("\n") }, stateDir });

Deno.test("peer: where others reach this machine, and what is not taken", () => {
  assert.equal(readPeer({ stateDir }), null);
  assert.equal(readPeer({ file: { path: FILE, text: "agent: false" }, stateDir }), null);
  assert.deepEqual(peer("  listen: 192.0.2.7:6170"), {
    listen: { hostname: "192.0.2.7", port: 6170 },
    addresses: [],
  });
  assert.deepEqual(peer("  listen: '[::]:6170'", "  addresses: [box.example:443]"), {
    listen: { hostname: "[::]", port: 6170 },
    addresses: ["box.example:443"],
  });
  for (
    const lines of [
      ["  listen: 6170"],
      ["  listen: box:0"],
      ["  addresses: [box:1]"],
      ["  listen: box:1", "  addresses: []"],
      ["  listen: box:1", "  addresses: [box]"],
      ["  listen: 0.0.0.0:6170"],
      ["  listen: box:1", "  token: x"],
    ]
  ) assert.match(problems(() => peer(...lines))[0]!, /peer: /, lines.join());
});

const metrics = (stateDir: string, ...lines: string[]) =>
  readMetricsPlace({ file: { path: FILE, text: ["metrics:", ...lines].join("\n") }, stateDir });

Deno.test("metrics: on loopback alone, with a token that only its owner may read", async () => {
  assert.equal(readMetricsPlace({ stateDir }), null);
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/operator`);
    const path = `${dir}/operator/token`;
    await Deno.writeTextFile(path, "s3cret\n", { mode: 0o600 });
    assert.deepEqual(metrics(dir, "  listen: '[::1]:9468'", `  token_file: ${path}`), {
      listen: { hostname: "::1", port: 9468 },
      token: "s3cret",
    });
    for (
      const lines of [
        ["  listen: 0.0.0.0:9468", `  token_file: ${path}`],
        ["  listen: 127.0.0.1:0", `  token_file: ${path}`],
        ["  listen: 127.0.0.1:9468"],
        ["  listen: 127.0.0.1:9468", "  token_file: /etc/passwd"],
        ["  listen: 127.0.0.1:9468", `  token_file: ${path}`, "  token: x"],
      ]
    ) assert.match(problems(() => metrics(dir, ...lines))[0]!, /metrics: /, lines.join());
    await Deno.chmod(path, 0o644);
    assert.match(
      problems(() => metrics(dir, "  listen: localhost:1", `  token_file: ${path}`))[0]!,
      /somebody else may read/,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("telemetry: a collector's address, which holds no secret", () => {
  const telemetry = (endpoint: string) =>
    readTelemetry({ file: { path: FILE, text: `telemetry:\n  endpoint: ${endpoint}` }, stateDir });
  assert.deepEqual(readTelemetry({ stateDir }), {});
  const { OTEL_DENO, OTEL_EXPORTER_OTLP_ENDPOINT } = telemetry("http://127.0.0.1:4318");
  assert.deepEqual([OTEL_DENO, OTEL_EXPORTER_OTLP_ENDPOINT], ["true", "http://127.0.0.1:4318"]);
  for (const bad of ["127.0.0.1:4318", "grpc://h:1", "https://u:p@h", "https://h/?token=x"]) {
    assert.match(problems(() => telemetry(bad))[0]!, /telemetry: /, bad);
  }
});

Deno.test("a secret's file is read only when nobody else may", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/key`;
    assert.match(problems(() => readSecretFile(path, "notify"))[0]!, /can't be read/);
    await Deno.writeTextFile(path, "hunter2\n", { mode: 0o600 });
    assert.equal(readSecretFile(path, "notify"), "hunter2");
    await Deno.chmod(path, 0o640);
    assert.match(problems(() => readSecretFile(path, "notify"))[0]!, /somebody else may read/);
    await Deno.chmod(path, 0o600);
    await Deno.writeTextFile(path, "\n");
    assert.match(problems(() => readSecretFile(path, "notify"))[0]!, /it is empty/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
