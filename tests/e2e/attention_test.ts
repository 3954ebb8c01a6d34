// SPDX-License-Identifier: Apache-2.0

/**
 * Who needs a person, on real parts: agents that ask, ring, fail, wait for an approval and say so themselves; a webhook,
 * an ntfy server and the config room that are told once, whatever is killed.
 */
import assert from "node:assert/strict";
import { startHook, startNtfy } from "../../src/daemon/attention/notify/receivers_test.ts";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { TestWatcher } from "../../src/observe/_session.ts";
import { type Bureau, commandLine, eventually, processesOf, step, withBureau } from "./harness.ts";
import { matrix, messages, roomId } from "./matrix.ts";

const SLOW_MS = 90_000;

/** Each ends in its state, and stays there. */
const AGENTS = {
  asks: "printf 'Overwrite %s? [y/N] ' secret.txt; read answer; exec sleep 6000",
  // When its relay is there, for what rang before it nobody hears, and nobody types any more, for whom it may be.
  rings: "read go; sleep 6; printf 'build done\\a\\n'; exec sleep 6000",
  fails: "exit 7",
  reaches: "exec sleep 6000",
  works: "while :; do date; sleep 1; done",
} as const;

interface View {
  readonly principal: string;
  readonly phase: string;
  readonly last_line?: string;
  readonly attention?: { state: string; reason: string; message: string | null; unseen: boolean };
}

async function publish(bureau: Bureau, name: string, script: string): Promise<void> {
  const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
  await matrix(bureau, `rooms/${templates}/state/m.bureau.template/${name}`, {
    method: "PUT",
    body: {
      description: name,
      command: ["/bin/sh", "-c", script],
      environment_variables: { PATH: "/usr/bin:/bin" },
      restart_policy: "never",
      ...(name === "reaches"
        ? { egress: { allow: [], ask: ["ask.invalid:443"], ask_timeout: 600 } }
        : {}),
    },
  });
}

async function kill(bureau: Bureau, name: string): Promise<void> {
  const victim = await eventually(`a ${name}`, async () => {
    for (const pid of await processesOf(bureau)) {
      const line = await commandLine(pid);
      if (line.includes(`/${name}.js`) && !/^\S*(setpriv|bwrap) /.test(line)) return pid;
    }
    return null;
  }, SLOW_MS);
  Deno.kill(victim, "SIGKILL");
  await eventually(
    `the ${name} is gone`,
    async () => (await commandLine(victim)) === "",
    SLOW_MS,
  );
}

/** By its relay, as the daemon does for a person. */
async function type(bureau: Bureau, name: string, keys: string): Promise<void> {
  const hash = await principalHash(`bureau/fleet/dev/agent/${name}`);
  const path = `${bureau.runDir}/p/${hash}/observe/relay.sock`;
  const query = { mode: "readwrite", cols: "90", rows: "20" };
  await using watcher = await eventually(
    `the relay of ${name}`,
    () => TestWatcher.attach(path, query),
    SLOW_MS,
  );
  await eventually("its screen", () => Promise.resolve(watcher.bytes > 0), SLOW_MS);
  watcher.type(keys);
  await eventually(
    "it was typed",
    () => Promise.resolve(watcher.frames.some(({ type }) => type === "mode")),
    SLOW_MS,
  );
}

Deno.test("whoever needs a person is seen and told of, once", async (t) => {
  const hook = startHook("hook-key");
  const ntfy = startNtfy("tk_ntfy");
  try {
    await withBureau(async (bureau) => {
      const ok = async (...args: string[]) => {
        const done = await bureau.cli(...args);
        assert.equal(done.code, 0, done.stdout + done.stderr);
        return done.stdout;
      };
      const operator = `${bureau.stateDir}/operator`;
      const view = (name: string) => bureau.json<View>("agent", "show", `agent/${name}`);
      const attention = (name: string, wanted: string) =>
        eventually(`${name}: ${wanted}`, async () => {
          const seen = await view(name);
          const { state, reason } = seen.attention ?? {};
          if (`${state} ${reason}` === wanted) return seen;
          throw new Error(JSON.stringify(seen));
        }, SLOW_MS);
      const up = await bureau.up("--detach", "--no-agent");
      assert.equal(up.code, 0, up.stderr);
      const machine = (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
      const configRoom = await roomId(bureau, machine.slice(1).split(":")[0]!);

      await step(t, bureau, "config check tries secrets; the daemon takes them up", async () => {
        await Deno.writeTextFile(
          `${operator}/bureau.yaml`,
          [
            "notify:",
            "  - matrix: true",
            "    states: [failed]",
            "  - name: hook",
            `    webhook: ${hook.url}`,
            `    key_file: ${operator}/hook-key`,
            "    after_seconds: 1",
            "  - name: phone",
            `    ntfy: ${ntfy.url("topic")}`,
            `    token_file: ${operator}/tk`,
            "    agents: [agent/asks]",
            "    include_text: true",
            "    link: https://box/#/watch/{agent}",
            "",
          ].join("\n"),
          { mode: 0o600 },
        );
        assert.equal((await bureau.cli("config", "check")).code, 1);
        await Deno.writeTextFile(`${operator}/hook-key`, "hook-key\n", { mode: 0o600 });
        await Deno.writeTextFile(`${operator}/tk`, "tk_ntfy\n", { mode: 0o600 });
        // By root, read by whoever starts Bureau: the same.
        await ok("config", "check");
        await kill(bureau, "daemon");
        await eventually("the daemon has them", async () => {
          const list = await bureau.cli("notify", "list");
          return list.code === 0 && /^phone /m.test(list.stdout);
        }, SLOW_MS);
        assert.match(await ok("notify", "test"), /^matrix: taken\nhook: taken\nphone: taken\n$/);
        assert.match((await bureau.cli("notify", "test", "nobody")).stderr, /no such target/);
        assert.ok(hook.bodies[0]?.test);
      });

      for (const [name, script] of Object.entries(AGENTS)) {
        await publish(bureau, name, script);
        await ok("agent", "create", `agent/${name}`, "--template", `bureau/template:${name}`);
      }

      await step(t, bureau, "each state is seen, with why", async () => {
        const asks = await attention("asks", "waiting-input question");
        assert.equal(asks.last_line, "Overwrite secret.txt? [y/N]");
        await type(bureau, "rings", "go\r");
        await attention("rings", "waiting-input bell");
        await attention("fails", "failed failed");
        await attention("works", "working output");
        const dir = `${bureau.runDir}/p/${await principalHash("bureau/fleet/dev/agent/reaches")}`;
        using connection = await Deno.connect({
          transport: "unix",
          path: `${dir}/agent/forward.sock`,
        });
        await connection.write(
          new TextEncoder().encode("CONNECT ask.invalid:443 HTTP/1.1\r\nHost: ask.invalid\r\n\r\n"),
        );
        const reaches = await attention("reaches", "waiting-approval egress-ask");
        assert.equal(reaches.attention?.message, "ask.invalid:443");
        const order = (await ok("agent", "list")).split("\n").slice(1).map((line) =>
          line.split(/ +/)[0]
        );
        assert.deepEqual([order[0], order[1]], ["agent/fails", "agent/reaches"]);
        assert.equal(order[4], "agent/works");
        assert.match(await ok("status"), /agent\/asks +running .* waits for input, /);
        // The question goes with who asked.
        await eventually("people are told of it", () =>
          Promise.resolve(
            hook.bodies.some(({ events }) =>
              events.some(({ state }) => state === "waiting-approval")
            ),
          ), SLOW_MS);
      });

      await step(t, bureau, "people are told, each what they asked for", async () => {
        await eventually(
          "the phone rings",
          () => Promise.resolve(ntfy.published.length >= 2),
          SLOW_MS,
        );
        const { title, message, click } = ntfy.published[1]!;
        assert.equal(title, "agent/asks waits for input");
        assert.match(String(message), /Overwrite secret\.txt\?/);
        assert.equal(click, "https://box/#/watch/agent/asks");
        await eventually("the webhook knows of four", () => {
          const told = new Set(
            hook.bodies.flatMap(({ events }) => events.map(({ account }) => account)),
          );
          return Promise.resolve(told.size === 4 && !told.has("agent/works"));
        }, SLOW_MS);
        assert.ok(!JSON.stringify(hook.bodies).includes("secret.txt"));
        await eventually("the room knows of the failure", async () => {
          const told = (await messages(bureau, configRoom)).filter(({ content }) =>
            content["m.bureau.attention"] !== undefined && content["body"] !== undefined
          );
          return told.some(({ content }) =>
            String(content["body"]).startsWith("agent/fails has failed")
          );
        }, SLOW_MS);
      });

      await step(t, bureau, "killing daemon and relays tells nobody again", async () => {
        const told = () =>
          hook.bodies.flatMap(({ id, events }) =>
            events.filter(({ account }) => account === "agent/asks").map(() => id)
          );
        assert.equal(new Set(told()).size, 1);
        for (const victim of ["relay", "daemon", "relay", "relay", "daemon"]) {
          await kill(bureau, victim);
        }
        await attention("asks", "waiting-input question");
        // What fails now is told, and with it would be what is told again.
        await publish(bureau, "fails2", "exit 8");
        await ok("agent", "create", "agent/fails2", "--template", "bureau/template:fails2");
        await eventually("the next message", () =>
          Promise.resolve(
            hook.bodies.some(({ events }) =>
              events.some(({ account }) => account === "agent/fails2")
            ),
          ), SLOW_MS);
        assert.equal(new Set(told()).size, 1, JSON.stringify(hook.bodies));
        assert.deepEqual(hook.problems, []);
      });

      await step(t, bureau, "an agent says it itself, which counts more", async () => {
        // One that writes nothing: its word holds until it says another.
        const hash = await principalHash("bureau/fleet/dev/agent/rings");
        using proxy = createProxyClient({ socket: `${bureau.runDir}/p/${hash}/agent/proxy.sock` });
        await proxy.setAttention("waiting", "which of the two?");
        const said = await attention("rings", "waiting-input said");
        assert.equal(said.attention?.message, "which of the two?");
        assert.match(
          await ok("agent", "show", "agent/rings"),
          /attention +waits for input, for .* \(it says so itself\): which of the two\?; nobody/,
        );
        await proxy.setAttention("working");
        await attention("rings", "working said");
      });

      await step(t, bureau, "an answer at the terminal ends the question", async () => {
        await type(bureau, "asks", "y\r");
        await attention("asks", "working output");
      });
    });
  } finally {
    await hook.close();
    await ntfy.close();
  }
});
