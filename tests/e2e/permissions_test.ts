// SPDX-License-Identifier: Apache-2.0

/**
 * What each process may not do, tried: every probe runs a few lines of code under the very permission
 * set and machine grants of a role, and again with all permissions as the positive control.
 */
import assert from "node:assert/strict";
import {
  denoArguments,
  grantFlags,
  type GrantValues,
  parseGrants,
  type Role,
  ROLES,
} from "../../src/lib/process/mod.ts";
import { ROOT } from "./harness.ts";

const decoder = new TextDecoder();

interface Probe {
  readonly role: Role;
  readonly may_not: string;
  /** Prints `done` when the forbidden thing worked; throws NotCapable when refused. */
  readonly code: string;
}

const TCP = `
  const listener = Deno.args[0] === "control" ? Deno.listen({ hostname: "127.0.0.1", port: 0 }) : null;
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: listener?.addr.port ?? 9 });
  connection.close(); listener?.close(); console.log("done");`;
const LISTEN = `Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(); console.log("done");`;
const RUN = `await new Deno.Command("/usr/bin/true").output(); console.log("done");`;
const HOST_FILE = `await Deno.readTextFile("/etc/passwd"); console.log("done");`;
const WRITE = `await Deno.writeTextFile(Deno.args[1] + "/outside", ""); console.log("done");`;
const ENV = `Deno.env.get("HOME"); console.log("done");`;
const FFI =
  `Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", { getpid: { parameters: [], result: "i32" } }); console.log("done");`;
const REMOTE = `await import("https://127.0.0.1:1/x.js").catch((error) => {
    if (/remote|--no-remote|not allowed|NotCapable|Requires import/i.test(String(error))) throw new Deno.errors.NotCapable(String(error));
  }); console.log("done");`;
const UDP = `
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4");
  await new Promise((resolve, reject) => { socket.once("error", reject); socket.bind(0, "127.0.0.1", resolve); });
  socket.close(); console.log("done");`;

const PROBES: readonly Probe[] = [
  { role: "daemon", may_not: "run a program", code: RUN },
  { role: "daemon", may_not: "read a host file", code: HOST_FILE },
  { role: "daemon", may_not: "write outside its directories", code: WRITE },
  { role: "daemon", may_not: "load native code", code: FFI },
  { role: "worker", may_not: "connect over TCP", code: TCP },
  { role: "worker", may_not: "run a program", code: RUN },
  { role: "worker", may_not: "read a host file", code: HOST_FILE },
  { role: "worker", may_not: "read its caller's environment", code: ENV },
  { role: "parent", may_not: "connect over TCP", code: TCP },
  { role: "parent", may_not: "listen on TCP", code: LISTEN },
  { role: "parent", may_not: "run a program", code: RUN },
  { role: "parent", may_not: "read a host file", code: HOST_FILE },
  { role: "parent", may_not: "write outside its directories", code: WRITE },
  { role: "parent", may_not: "load native code", code: FFI },
  { role: "resident", may_not: "connect over TCP", code: TCP },
  { role: "resident", may_not: "listen on TCP elsewhere", code: LISTEN },
  { role: "resident", may_not: "run a program", code: RUN },
  { role: "resident", may_not: "read a host file", code: HOST_FILE },
  { role: "resident", may_not: "write outside its directories", code: WRITE },
  { role: "resident", may_not: "load native code", code: FFI },
  { role: "web", may_not: "connect over TCP", code: TCP },
  { role: "web", may_not: "listen on TCP", code: LISTEN },
  { role: "web", may_not: "run a program", code: RUN },
  { role: "web", may_not: "read a host file", code: HOST_FILE },
  { role: "web", may_not: "write outside its directories", code: WRITE },
  { role: "web", may_not: "read its caller's environment", code: ENV },
  { role: "launcher", may_not: "connect over TCP", code: TCP },
  { role: "launcher", may_not: "listen on TCP", code: LISTEN },
  { role: "launcher", may_not: "use UDP", code: UDP },
  { role: "launcher", may_not: "run anything but bwrap", code: RUN },
  { role: "launcher", may_not: "load native code", code: FFI },
  { role: "launcher", may_not: "read its caller's environment", code: ENV },
  { role: "proxy", may_not: "connect over TCP", code: TCP },
  { role: "proxy", may_not: "listen on TCP", code: LISTEN },
  { role: "proxy", may_not: "run a program", code: RUN },
  { role: "proxy", may_not: "read a host file", code: HOST_FILE },
  { role: "proxy", may_not: "read its caller's environment", code: ENV },
  { role: "proxy", may_not: "load native code", code: FFI },
  { role: "relay", may_not: "connect over TCP", code: TCP },
  { role: "relay", may_not: "run a program besides tmux, script and stty", code: RUN },
  { role: "relay", may_not: "read a host file", code: HOST_FILE },
  { role: "homeserver", may_not: "connect to anything", code: TCP },
  { role: "homeserver", may_not: "run a program", code: RUN },
  { role: "homeserver", may_not: "read a host file", code: HOST_FILE },
  { role: "authority", may_not: "run a program", code: RUN },
  { role: "authority", may_not: "connect to anything", code: TCP },
  { role: "up", may_not: "connect over TCP", code: TCP },
  { role: "up", may_not: "run anything but Deno and setpriv", code: RUN },
  { role: "bureau", may_not: "run anything but git", code: RUN },
  { role: "bureau", may_not: "connect to another host than the homeserver", code: TCP },
  ...ROLES.map((role) => ({ role, may_not: "import code from another host", code: REMOTE })),
];

const values: GrantValues = {
  STATE: "/tmp/b-perm/s",
  RUN: "/tmp/b-perm/r",
  RUNTIME: "/tmp/b-perm/rt",
  DENO: Deno.execPath(),
  LISTEN: "127.0.0.1:1",
  AUTHORITY: "127.0.0.1:2",
  HOMESERVER: "127.0.0.1:1",
  REPO: "/tmp/b-perm/repo",
};

async function attempt(code: string, flags: readonly string[], control: boolean): Promise<string> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-perm-" });
  try {
    const file = `${dir}/probe.js`;
    await Deno.writeTextFile(file, code);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-lock",
        ...flags,
        file,
        control ? "control" : "",
        dir,
      ],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: dir, DENO_DIR: dir, NO_COLOR: "1" },
    }).output();
    return decoder.decode(stdout) + decoder.decode(stderr);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("each process is refused what its permission set does not name", async (t) => {
  const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), values);
  for (const { role, may_not, code } of PROBES) {
    await t.step(`${role} may not ${may_not}`, async () => {
      const flags = [
        "--no-remote",
        `--config=${ROOT}/deno.json`,
        `--permission-set=${role}`,
        ...grantFlags(grants, role),
      ];
      const refused = await attempt(code, flags, false);
      assert.match(refused, /NotCapable|NotFound.*Requires/, `${role}: ${refused}`);
      assert.doesNotMatch(refused, /^done$/m);
    });
  }
});

Deno.test("the same probes succeed with all permissions, so a refusal above means something", async (t) => {
  for (const code of new Set(PROBES.map((probe) => probe.code))) {
    await t.step(code.trim().slice(0, 40), async () => {
      assert.match(await attempt(code, ["--allow-all"], true), /^done$/m);
    });
  }
});

Deno.test("denoArguments() names every role's set and never widens it", async () => {
  const { permissions } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  // These two are of programs that run in principals' sandboxes.
  assert.deepEqual(Object.keys(permissions).sort(), [...ROLES, "agent-service", "native"].sort());
  for (const role of ROLES) {
    const args = denoArguments(role, "/rt", parseGrants("", values));
    assert.ok(args.includes(`--permission-set=${role}`));
    assert.ok(
      !args.some((argument) => /^(-A|--allow-all|--allow-ffi|--allow-import)/.test(argument)),
    );
  }
  assert.equal(permissions.proxy.run, undefined);
  assert.equal(permissions.daemon.run, undefined);
  assert.equal(permissions.launcher.net, undefined);
});
