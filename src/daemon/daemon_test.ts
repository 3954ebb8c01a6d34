// SPDX-License-Identifier: Apache-2.0

/** The daemon process against a real homeserver; only the launcher is a stand-in. */
import assert from "node:assert/strict";
import { BureauError } from "../lib/errors.ts";
import { EventType, type Template } from "../lib/schema/mod.ts";
import { createMatrixClient, registerWithSharedSecret } from "../messaging/mod.ts";
import { SECRET, Server } from "../homeserver/_process.ts";
import { Bench, FLEET, SERVER_NAME, until } from "./bench_test.ts";

const template: Template = {
  description: "t",
  command: ["/bin/true"],
  egress: { allow: ["api.test:443"] },
  authorization: { grants: [{ actions: ["matrix/read"] }] },
};
const A = `${FLEET}/agent/a`;

async function bench(use: (b: Bench) => Promise<void>): Promise<void> {
  await using b = await Bench.start();
  await b.publish("t", template);
  await use(b);
}

const phase = (b: Bench, is: string) =>
  until(async () => {
    const status = await b.status("agent/a");
    return status?.["phase"] === is ? status : null;
  }, `phase ${is}`);

Deno.test("daemon starts, restarts, updates and removes a principal as the events say", async (t) => {
  await bench(async (b) => {
    const { launcher } = b;
    await b.startDaemon();
    const first = await b.assign("agent/a", template);

    await t.step("an assignment starts it", async () => {
      const status = await phase(b, "running");
      assert.equal(status["issued_at"], first.issued_at);
      assert.equal(launcher.creates.length, 1);
      const grants = launcher.creates[0]!.grants;
      assert.deepEqual(grants.map((g) => [g.actions, g.source]), [
        [["matrix/read"], "template"],
        // One line of policy is enough: what may be reached may be tunnelled to.
        [["forward/api.test/443"], "egress"],
      ]);
      const view = await b.view("agent/a");
      assert.equal(view.phase, "running");
      assert.equal(view.desired, "running");
    });

    await t.step("its proxy gets the grants, and a new proxy gets them again", async () => {
      await until(() => launcher.policies.length === 1, "first push");
      await launcher.startProxy(A);
      await until(() => launcher.policies.length === 2, "second push");
      assert.deepEqual(launcher.policies[0], launcher.policies[1]);
    });

    await t.step("its egress gate refuses what is not named", async () => {
      const { hash } = launcher.cells.get(A)!;
      const path = `${b.setup.run}/p/${hash}/egress/egress.sock`;
      const connection = await Deno.connect({ transport: "unix", path });
      await connection.write(new TextEncoder().encode("CONNECT evil.test:443 HTTP/1.1\r\n\r\n"));
      const buffer = new Uint8Array(1024);
      const n = await connection.read(buffer);
      connection.close();
      assert.match(new TextDecoder().decode(buffer.subarray(0, n!)), /^HTTP\/1\.1 403 /);
      await until(async () => (await b.view("agent/a")).egress.refused === 1, "counted");
    });

    await t.step("other grants reach the proxy without a restart", async () => {
      await b.assign("agent/a", template, {
        authorization: {
          grants: [{ actions: ["http/tsa"] }],
          denials: [{ actions: ["matrix/x"] }],
        },
      });
      await until(
        () => launcher.policies.at(-1)!.denials.some((d) => d.actions[0] === "matrix/x"),
        "hot push",
      );
      assert.equal(launcher.destroys.length, 0);
    });

    await t.step("rights that no assignment says are told to the launcher, too", async () => {
      const say = (denials: { actions: string[] }[]) =>
        b.operator.putState(
          b.setup.configRoom,
          "m.bureau.authorization",
          `${FLEET}/agent/a:${SERVER_NAME}`,
          { denials },
        );
      const isDenied = (all: readonly { denials: { actions: string[] }[] }[]) =>
        all.at(-1)?.denials.some(({ actions }) => actions[0] === "matrix/y") === true;
      await say([{ actions: ["matrix/y"] }]);
      await until(
        () => isDenied(launcher.rights) && isDenied(launcher.policies),
        "both know",
        60_000,
      );
      await say([]);
      await until(
        () => !isDenied(launcher.rights) && !isDenied(launcher.policies),
        "and that it is over",
        60_000,
      );
    });

    await t.step("rules for requests of one host reach the proxy without a restart", async () => {
      assert.deepEqual(launcher.rules.at(-1), { allow: [], deny: [] });
      const rule = { host: "api.test:443", methods: ["GET"], paths: ["v1/**"] };
      await b.assign("agent/a", template, {
        authorization: {
          grants: [{ actions: ["http/tsa"] }],
          denials: [{ actions: ["matrix/x"] }],
        },
        egress: { allow: [rule] },
      });
      await until(() => launcher.rules.at(-1)!.allow.length === 1, "rules");
      assert.deepEqual(launcher.rules.at(-1), { allow: [rule], deny: [] });
      assert.equal(launcher.destroys.length, 0);
    });

    await t.step("another spec replaces it", async () => {
      const before = launcher.cells.get(A)!.spec_digest;
      await b.assign("agent/a", template, { command_override: ["/bin/false"] });
      await until(() => (launcher.cells.get(A)?.spec_digest ?? before) !== before, "replacement");
      assert.deepEqual(launcher.destroys.map((d) => d.grace), ["5000"]);
    });

    await t.step("it is restarted after an end, with one notice", async () => {
      const started = launcher.cells.get(A)!.started_at;
      launcher.exit(A, 3);
      const status = await phase(b, "backing-off");
      assert.equal(status["exit_code"], 3);
      await until(() => (launcher.cells.get(A)?.started_at ?? started) !== started, "restart");
      await phase(b, "running");
      assert.deepEqual(await b.notices(), [
        "agent/a ended with code 3; it is started again in 1 s",
      ]);
    });

    await t.step("a daemon that was killed adopts what runs and repeats nothing", async () => {
      const creates = launcher.creates.length;
      await b.stopDaemon();
      await b.startDaemon();
      await until(
        // Not there before the first sync.
        async () => (await b.view("agent/a").catch(() => null))?.phase === "running",
        "adopted",
      );
      assert.equal((await b.notices()).length, 1);
      assert.ok(launcher.creates.length <= creates + 1);
      assert.equal(launcher.cells.size, 1);
    });

    await t.step("a launcher that was away is found again", async () => {
      await launcher.stop();
      const client = b.client();
      await until(
        async () => !(await client.call("status")).launcher.connected,
        "disconnected",
      );
      await launcher.start();
      await until(async () => (await client.call("status")).launcher.connected, "connected");
      client.close();
    });

    await t.step("an assignment that nobody may write changes nothing and is told", async () => {
      const destroys = launcher.destroys.length;
      const key = `${A}:${SERVER_NAME}`;
      await b.operator.putState(b.setup.configRoom, EventType.assignment, key, { version: 1 });
      await until(
        async () => /missing or wrong/.test((await b.view("agent/a")).message ?? ""),
        "told",
      );
      assert.equal(launcher.destroys.length, destroys);
    });

    await t.step("a cleared assignment removes it", async () => {
      const key = `${A}:${SERVER_NAME}`;
      await b.operator.putState(b.setup.configRoom, EventType.assignment, key, {});
      await until(() => launcher.cells.size === 0, "removed");
      await phase(b, "stopped");
    });
  });
});

Deno.test("daemon reports a malformed assignment and one for somebody else as failed", async () => {
  await bench(async (b) => {
    await b.startDaemon();
    await b.assign("agent/a", template, { machine: `@${FLEET}/machine/two:${SERVER_NAME}` });
    assert.match(String((await phase(b, "failed"))["message"]), /it is for "@.*two/);
    await b.assign("agent/b", template, { principal: `@${A}:${SERVER_NAME}` });
    await until(async () => (await b.status("agent/b"))?.["phase"] === "failed", "wrong subject");
    await b.assign("agent/c", { ...template, command: ["/other"] });
    const c = await until(() => b.status("agent/c"), "digest");
    assert.match(String(c["message"]), /not the one that was signed/);
    assert.equal(b.launcher.creates.length, 0);
    const notices = await until(async () => {
      const all = await b.notices();
      return all.length === 3 ? all : null;
    }, "three notices");
    assert.ok(notices.every((text) => /^agent\/[abc] failed: /.test(text)));
  });
});

Deno.test("daemon shows a refusal of the launcher with its hint, and tries again", async () => {
  await bench(async (b) => {
    b.launcher.refusal = new BureauError("bad-signature", "Cannot start: signed by a stranger", {
      status: 403,
      hint: "add the key",
    });
    await b.startDaemon();
    await b.assign("agent/a", template);
    const status = await phase(b, "failed");
    assert.equal(status["hint"], "add the key");
    b.launcher.refusal = null;
    await phase(b, "running");
  });
});

Deno.test("daemon serves its socket to operators only", async () => {
  await bench(async (b) => {
    await b.startDaemon();
    await b.assign("agent/a", template);
    await phase(b, "running");
    await assert.rejects(b.view("agent/a", "wrong"), { code: "unauthenticated" });
    const stranger = await registerWithSharedSecret(
      { homeserverUrl: b.setup.homeserver.url },
      { user: "stranger", password: "p" },
      SECRET,
    );
    await assert.rejects(b.view("agent/a", stranger.access_token), { code: "not-found" });
    const client = b.client(stranger.access_token);
    assert.deepEqual((await client.call("list")).principals, []);
    client.close();
    assert.equal((await b.view("agent/a")).principal, A);
  });
});

for (
  const [what, lose] of [
    ["its session is revoked", async (b: Bench) => {
      const { homeserver, machineToken } = b.setup;
      await createMatrixClient({ homeserverUrl: homeserver.url, accessToken: machineToken })
        .logout();
    }],
    ["it is put out of the config room", async (b: Bench) => {
      await b.operator.kick(b.setup.configRoom, b.setup.machine);
    }],
  ] as const
) {
  Deno.test(`daemon ends every principal and itself when ${what}`, async () => {
    await bench(async (b) => {
      await b.startDaemon();
      await b.assign("agent/a", template);
      await phase(b, "running");
      const started = Date.now();
      const ended = b.daemon!.status;
      await lose(b);
      assert.equal((await ended).code, 1);
      b.daemon = null;
      assert.equal(b.launcher.cells.size, 0);
      assert.ok(Date.now() - started < 10_000);
      assert.equal(b.launcher.destroys.at(-1)!.grace, "0");
    });
  });
}

Deno.test("daemon keeps everything running while the homeserver is away, and says since when", async () => {
  await bench(async (b) => {
    await b.startDaemon();
    await b.assign("agent/a", template);
    await phase(b, "running");
    // The token is verified while it can be.
    await b.view("agent/a");
    await b.setup.homeserver.kill();
    const client = b.client();
    const status = await until(async () => {
      const seen = await client.call("status");
      return seen.sync.state === "failing" ? seen : null;
    }, "failing");
    client.close();
    assert.match(status.sync.message ?? "", /does not answer/);
    assert.ok(status.sync.last_ok !== null);
    assert.equal(status.principals[0]!.phase, "running");
    assert.equal(b.launcher.destroys.length, 0);
    assert.equal((await b.stopDaemon("SIGTERM")).code, 0);
    assert.equal(b.launcher.cells.size, 1);
  });
});

Deno.test("what the daemon had to say while the homeserver was away is said once, by its successor", async () => {
  await bench(async (b) => {
    const { homeserver, run } = b.setup;
    await b.startDaemon();
    await b.assign("agent/a", template, { restart_policy: "never" });
    await phase(b, "running");
    await homeserver.kill();
    b.launcher.exit(A, 3);
    await until(
      async () => (await Deno.readTextFile(`${run}/state/outbox.jsonl`)).includes("with code 3"),
      "written down",
    );
    await b.stopDaemon();
    // Nobody but the journal knows of that end now.
    b.launcher.cells.delete(A);
    const { hostname, port } = new URL(homeserver.url);
    await using again = await Server.start(
      { listen: { hostname, port: Number(port) } },
      homeserver.stateDir,
    );
    assert.deepEqual(await b.notices(), []);
    await b.startDaemon();
    await until(async () => (await b.notices()).length > 0, "said");
    await phase(b, "running");
    assert.deepEqual(await b.notices(), ["agent/a ended with code 3"]);
    await b.stopDaemon();
    await again.kill();
  });
});
