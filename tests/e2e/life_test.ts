// SPDX-License-Identifier: Apache-2.0

/** What starts an agent, and what reaches it while it runs: by the commands, on real parts. */
import assert from "node:assert/strict";
import { type Bureau, eventually, findProcess, step, withBureau } from "./harness.ts";
import { matrix, messages, roomId, stateEvents } from "./matrix.ts";

const NAME = "agent/waiter";
const TYPE = "org.example.task";

/** Writes a template whose program is this shell script. */
async function publish(
  bureau: Bureau,
  name: string,
  script: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
  await matrix(bureau, `rooms/${templates}/state/m.bureau.template/${name}`, {
    method: "PUT",
    body: {
      description: name,
      command: ["/bin/sh", "-c", script],
      environment_variables: { PATH: "/usr/bin:/bin" },
      ...more,
    },
  });
}

async function ok(bureau: Bureau, ...args: string[]): Promise<string> {
  const done = await bureau.cli(...args);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return done.stdout;
}

interface View {
  readonly phase: string;
  readonly since: number;
  readonly message: string | null;
}

const inPhase = (bureau: Bureau, name: string, phase: string) =>
  eventually(`${name} is ${phase}`, async () => {
    const view = await bureau.json<View>("agent", "show", name);
    if (view.phase === phase) return view;
    throw new Error(JSON.stringify(view));
  }, 60_000);

/** Its terminal shows it. */
const shows = (bureau: Bureau, name: string, what: RegExp) =>
  eventually(`${name} shows ${what}`, async () => {
    const { stdout } = await bureau.cli("observe", name, "--dump");
    if (what.test(stdout)) return stdout;
    throw new Error(stdout);
  }, 60_000);

Deno.test("an agent starts when the state of a room says so, and reads what it was started for", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
    const say = (content: Record<string, unknown>) =>
      matrix(bureau, `rooms/${templates}/state/${TYPE}/build`, { method: "PUT", body: content });
    await publish(
      bureau,
      "waiter",
      `cd /run/bureau; grep -o '"n":[0-9]*' trigger.json; (echo x >trigger.json) 2>&1 | grep -o Read-only
       ls | tr '\\n' ' '; exec sleep 100000`,
    );

    await step(t, bureau, "it waits, and says for what", async () => {
      const condition = {
        event_type: TYPE,
        state_key: "build",
        room_alias: `#bureau/template:${bureau.homeserver.serverName}`,
        content_match: { status: "ready", n: { $gt: 1 } },
      };
      const bad = await bureau.cli(
        ...["agent", "create", NAME, "--template", "bureau/template:waiter"],
        ...[
          "--start-condition",
          JSON.stringify({ ...condition, content_match: { n: { $no: 1 } } }),
        ],
      );
      assert.notEqual(bad.code, 0);
      assert.match(bad.stderr, /--start-condition takes event_type/);
      await ok(
        bureau,
        ...["agent", "create", NAME, "--template", "bureau/template:waiter"],
        ...["--start-condition", JSON.stringify(condition)],
      );
      const view = await inPhase(bureau, NAME, "waiting");
      assert.match(view.message!, /^waiting for org\.example\.task "build" in #bureau\/template:/);
      await say({ status: "ready", n: 1 });
      await eventually(
        "it does not match",
        async () =>
          /it does not match/.test((await bureau.json<View>("agent", "show", NAME)).message!),
      );
      assert.match(await ok(bureau, "agent", "list"), /waiter +waiting .*waiting for org/);
    });

    await step(t, bureau, "it starts, and has the event, which it can't change", async () => {
      await say({ status: "ready", n: 7 });
      await inPhase(bureau, NAME, "running");
      const screen = await shows(bureau, NAME, /trigger\.json/);
      assert.match(screen, /"n":7/);
      assert.match(screen, /Read-only/);
    });

    await step(t, bureau, "an agent without a condition has no such file", async () => {
      await publish(bureau, "plain", "ls /run/bureau; echo listed; exec sleep 100000");
      await ok(bureau, "agent", "create", "agent/plain", "--template", "bureau/template:plain");
      await inPhase(bureau, "agent/plain", "running");
      assert.doesNotMatch(await shows(bureau, "agent/plain", /listed/), /trigger/);
    });

    await step(t, bureau, "a payload is replaced under an agent that runs", async () => {
      await publish(
        bureau,
        "listener",
        `n=0; trap 'n=$((n+1)); echo "told $n: $(cat /run/bureau/payload.json)"' HUP
         echo ready; while :; do sleep 0.05 & wait $!; done`,
        { default_payload: { task: "none" }, reload: "sighup" },
      );
      const name = "agent/listener";
      await ok(bureau, "agent", "create", name, "--template", "bureau/template:listener");
      await shows(bureau, name, /ready/);
      const { since } = await inPhase(bureau, name, "running");
      const file = `${bureau.stateDir}/payload.json`;
      const give = async (task: string) => {
        await Deno.writeTextFile(file, JSON.stringify({ task }));
        return await ok(bureau, "agent", "payload", name, "--file", file);
      };
      await give("a");
      await shows(bureau, name, /told 1: \{"task":"a"\}/);
      assert.match(await give("a"), /nothing changed/);
      await give("b");
      await shows(bureau, name, /told 2: \{"task":"b"\}/);
      assert.equal((await bureau.json<View>("agent", "show", name)).since, since);
      assert.deepEqual(JSON.parse(await ok(bureau, "agent", "payload", name)), { task: "b" });
      const frozen = await bureau.cli("agent", "freeze", name);
      if (frozen.code !== 0) return assert.match(frozen.stderr, /control group/);
      await give("c");
      await eventually("it lies there", async () => {
        for await (const { name: hash } of Deno.readDir(`${bureau.runDir}/p`)) {
          const path = `${bureau.runDir}/p/${hash}/cell/contract/payload.json`;
          if (await Deno.readTextFile(path).catch(() => "") === '{"task":"c"}') return true;
        }
        return false;
      });
      await ok(bureau, "agent", "thaw", name);
      await shows(bureau, name, /told 3: \{"task":"c"\}/);
    });

    await step(
      t,
      bureau,
      "an agent is drained: it finishes, stays stopped, and starts again",
      async () => {
        const name = "agent/slow";
        await publish(
          bureau,
          "slow",
          // Longer than an end takes without more.
          `trap 'echo finishing; sleep 7; echo finished; exit 0' TERM; echo ready
         while :; do sleep 0.05 & wait $!; done`,
        );
        await ok(bureau, "agent", "create", name, "--template", "bureau/template:slow");
        await shows(bureau, name, /ready/);
        const none = await bureau.cli("agent", "drain");
        assert.match(none.stderr, /give one agent's name, or --all/);
        assert.match(
          await ok(bureau, "agent", "drain", name, "--grace", "60"),
          /stopped: agent\/slow/,
        );
        const view = await inPhase(bureau, name, "stopped");
        assert.equal(view.message, null);
        const { stdout } = await bureau.cli("agent", "output", name);
        assert.match(stdout, /finished/);
        await ok(bureau, "agent", "start", name);
        await inPhase(bureau, name, "running");
        assert.match(await ok(bureau, "agent", "start", name), /nothing changed/);
      },
    );

    await step(t, bureau, "it ends when the condition no longer holds", async () => {
      await say({ status: "done", n: 7 });
      await inPhase(bureau, NAME, "waiting");
    });
  });
});

Deno.test("an agent that does not work makes way for what worked before, and stays so", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const name = "agent/checked";
    const check = {
      command: ["test", "-e", "/tmp/works"],
      interval_seconds: 1,
      failure_threshold: 2,
      grace_period_seconds: 60,
    };
    const more = (health: unknown) => ({ health, create_dirs: ["/tmp"] });
    const create = () =>
      ok(bureau, "agent", "create", name, "--template", "bureau/template:checked");
    const show = () =>
      bureau.json<View & { health?: { state: string }; rolled_back?: string }>(
        "agent",
        "show",
        name,
      );
    const configRoom = async () => {
      const { machine } = JSON.parse(
        await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
      ) as { machine: string };
      return await roomId(bureau, machine);
    };
    const notices = async () =>
      (await messages(bureau, await configRoom())).map(({ content }) => String(content["body"]));

    await step(t, bureau, "its health is shown, and told in the room", async () => {
      await publish(
        bureau,
        "checked",
        "touch /tmp/works; echo first; exec sleep 100000",
        more(check),
      );
      await create();
      await eventually("healthy", async () => (await show()).health?.state === "healthy", 90_000);
      assert.match(await ok(bureau, "agent", "show", name), /^health +healthy, for/m);
      await eventually(
        "published",
        async () =>
          (await stateEvents(bureau, await configRoom(), "m.bureau.principal_status"))
            .some(({ state_key: key, content }) =>
              key?.includes("agent/checked") && content["health"] === "healthy"
            ),
        60_000,
      );
    });

    await step(t, bureau, "a new version that fails is taken back by itself", async () => {
      // Good is what worked as often in a row as it may fail.
      await eventually("known to be good", async () => {
        for await (const { name: file } of Deno.readDir(`${bureau.stateDir}/launcher/health`)) {
          if (file.endsWith(".json")) return true;
        }
        return false;
      }, 60_000);
      await publish(bureau, "checked", "echo second; exec sleep 100000", {
        ...more({ ...check, grace_period_seconds: 0 }),
      });
      await create();
      const view = await eventually("rolled back", async () => {
        const view = await show();
        return view.rolled_back !== undefined && view.health?.state === "healthy" ? view : null;
      }, 120_000);
      assert.match(view.rolled_back!, /health check failed/);
      await shows(bureau, name, /first/);
      assert.match(await ok(bureau, "agent", "list"), /ROLLED BACK/);
      const told = await eventually("told", async () => {
        const all = (await notices()).filter((text) => text.includes("agent/checked"));
        return all.some((text) => /runs as it was when it last worked/.test(text)) ? all : null;
      }, 60_000);
      assert.ok(told.some((text) => /ended with code \d+: its health check failed/.test(text)));
    });

    await step(t, bureau, "neither a daemon nor other news bring it back (W-15)", async () => {
      const { since } = await show();
      const daemon = await findProcess(bureau, (line) => line.includes("/daemon.js"));
      Deno.kill(daemon!, "SIGKILL");
      await eventually(
        "a new daemon answers",
        async () => (await show()).phase === "running",
        60_000,
      );
      await create();
      await ok(bureau, "auth", "grant", name, "matrix/read", "--for", "1h");
      const view = await eventually("seen", async () => {
        const view = await show();
        return view.phase === "running" && view.health?.state === "healthy" ? view : null;
      }, 60_000);
      assert.equal(view.since, since);
      assert.match(view.rolled_back!, /health check failed/);
    });

    await step(t, bureau, "another version is tried", async () => {
      await publish(
        bureau,
        "checked",
        "touch /tmp/works; echo third; exec sleep 100000",
        more(check),
      );
      await create();
      await shows(bureau, name, /third/);
      await eventually("healthy", async () => (await show()).health?.state === "healthy", 90_000);
      assert.equal((await show()).rolled_back, undefined);
    });

    await step(t, bureau, "every agent of the machine is drained at once", async () => {
      const said = await ok(bureau, "agent", "drain", "--all", "--grace", "5");
      for (const one of ["agent/scribe", name]) {
        assert.ok(said.includes(one), said);
        await inPhase(bureau, one, "stopped");
      }
      assert.match(await ok(bureau, "agent", "drain", "--all"), /stopped: none/);
    });
  });
});
