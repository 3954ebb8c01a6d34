// SPDX-License-Identifier: Apache-2.0

/** `bureau credential`: provisioned credentials are used and never seen; a rotation ends the old value. */
import assert from "node:assert/strict";
import { type Bureau, eventually, findProcess, step, withBureau } from "./harness.ts";
import { scanDirectories } from "../interop/scan.ts";
import { matrix, roomId, stateEvents } from "./matrix.ts";

const AGENT = "agent/holder";
const FIRST = "first-value-of-the-key-5f2c91";
const SECOND = "second-value-of-the-key-77ab03";
const OTHER = "value-of-another-key-e1d440ac";

/** An upstream that says which keys it was shown. */
function startUpstream() {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ headers }) =>
    // Digests: the proxy takes a secret out of an answer.
    digest(headers.get("x-key")).then(async (key) =>
      Response.json({ key, other: await digest(headers.get("x-other")) })
    ));
  return { port: server.addr.port, stop: () => server.shutdown() };
}

async function digest(text: string | null): Promise<string | null> {
  if (text === null) return null;
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex();
}

async function machineOf(bureau: Bureau): Promise<string> {
  const session = await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`);
  return JSON.parse(session).machine;
}

/** `sh tasks/bureau …` with `text` in a file named last. */
async function withFile(
  bureau: Bureau,
  text: string,
  run: (file: string) => Promise<unknown>,
): Promise<void> {
  const file = `${bureau.stateDir}-given`;
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  try {
    await run(file);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("credentials are provisioned, used, listed and rotated", async (t) => {
  const upstream = startUpstream();
  try {
    await withBureau(async (bureau) => {
      const cli = async (...args: string[]) => {
        const done = await bureau.cli(...args);
        assert.equal(done.code, 0, done.stderr + done.stdout);
        return done.stdout;
      };
      const up = await bureau.up("--detach");
      assert.equal(up.code, 0, up.stderr);
      const host = `127.0.0.1:${upstream.port}`;
      const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
      const publish = (services: Record<string, unknown>) =>
        matrix(bureau, `rooms/${templates}/state/m.bureau.template/holder`, {
          method: "PUT",
          body: {
            description: "uses keys",
            inherits: ["bureau/template:agent"],
            command: ["/bin/sleep", "86423"],
            proxy_services: services,
            egress: { allow: [host] },
            authorization: { grants: [{ actions: ["http/**"] }] },
          },
        });
      const at = `http://${host}`;
      await publish({ api: { upstream: at, inject_headers: { "x-key": "KEY" } } });
      const document = (values: Record<string, string>) =>
        JSON.stringify(Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, { value, allowed_hosts: [host] }]),
        ));
      const shown = async (service: string, want: Record<string, string | null>) => {
        const done = await bureau.cli("proxy", "call", AGENT, "GET", `/http/${service}/`);
        const expected = Object.fromEntries(
          await Promise.all(
            Object.entries(want).map(async ([key, value]) => [key, await digest(value)] as const),
          ),
        );
        assert.deepEqual(JSON.parse(done.stdout), { key: null, other: null, ...expected });
        return true;
      };
      const seen = (service: string, want: Record<string, string | null>) =>
        eventually(
          `${service} is shown ${Object.keys(want)}`,
          () => shown(service, want),
          45_000,
        );
      const sleeper = () =>
        eventually(
          "the agent runs",
          () => findProcess(bureau, (line) => /^\/bin\/sleep 86423/.test(line)),
        );

      await step(t, bureau, "a credential of `agent create` is listed and used", async () => {
        await withFile(
          bureau,
          document({ KEY: FIRST }),
          (file) =>
            cli(
              "agent",
              "create",
              AGENT,
              "--template",
              "bureau/template:holder",
              "--credentials",
              file,
            ),
        );
        await seen("api", { key: FIRST });
        assert.match(
          await cli("credential", "list", AGENT),
          new RegExp(
            `agent/holder +KEY +static +${host} .* ago +@\\S+ +bureau/fleet/dev/machine/\\S+ +never`,
          ),
        );
      });

      await step(
        t,
        bureau,
        "a rotated one takes its place, and the old value is gone",
        async () => {
          const before = await sleeper();
          await withFile(
            bureau,
            `${SECOND}\n`,
            async (file) => {
              const args = ["rotate", AGENT, "KEY", file, "--expires", "2d"];
              assert.match(await cli("credential", ...args), /the agent was not restarted/);
            },
          );
          // At once: the old one is gone when the command says so.
          await shown("api", { key: SECOND });
          assert.equal(await sleeper(), before);
          assert.match(await cli("credential", "list"), /, rotated .* SOON, in 2 d/);
        },
      );

      await step(t, bureau, "it outlives the launcher and its proxy", async () => {
        const before = await sleeper();
        const { supervisor } = await bureau.json<
          { supervisor: { processes: { name: string; pid: number }[] } }
        >("status");
        Deno.kill(supervisor.processes.find(({ name }) => name === "launcher")!.pid, "SIGKILL");
        await seen("api", { key: SECOND });
        assert.equal(await sleeper(), before);
      });

      await step(t, bureau, "another one is added beside it", async () => {
        await withFile(
          bureau,
          document({ OTHER }),
          (file) => cli("credential", "provision", AGENT, file),
        );
        await publish({
          api: { upstream: at, inject_headers: { "x-key": "KEY", "x-other": "OTHER" } },
        });
        await cli("agent", "create", AGENT, "--template", "bureau/template:holder");
        await seen("api", { key: SECOND, other: OTHER });
        const { credentials } = await bureau.json<{ credentials: { name: string }[] }>(
          ...["credential", "list", AGENT],
        );
        assert.deepEqual(credentials.map(({ name }) => name), ["KEY", "OTHER"]);
      });

      await step(t, bureau, "what can't be done is said, and nothing is changed", async () => {
        for (
          const [args, code, says] of [
            [["rotate", AGENT, "NONE"], 5, /it has KEY, OTHER/],
            [["rotate", AGENT, "KEY"], 2, /is empty/],
            [["rotate", AGENT, "KEY", "/nonexistent/file"], 5, /no such file/],
            [["provision", AGENT], 2, /is not JSON/],
            [["provision", "agent/nobody", "/dev/null"], 5, /no such file/],
            [["provision", AGENT, "--expires", "yesterday"], 2, /no time to come/],
          ] as const
        ) {
          const done = await bureau.cli("credential", ...args);
          assert.equal(done.code, code, args.join(" ") + done.stderr);
          assert.match(done.stderr, says);
        }
        await seen("api", { key: SECOND, other: OTHER });
      });

      await step(
        t,
        bureau,
        "a removed one is refused at once, and nothing brings it back",
        async () => {
          const before = await sleeper();
          const config = await roomId(bureau, await machineOf(bureau));
          const sealed = async () =>
            (await stateEvents(bureau, config, "m.bureau.credentials"))
              .find(({ state_key }) => state_key!.includes("agent/holder"))!;
          const old = await sealed();
          const removed = await cli("credential", "remove", AGENT, "OTHER", "--yes");
          assert.match(removed, /has no OTHER any more.*\n.*the agent was not restarted/);
          const call = () => bureau.cli("proxy", "call", AGENT, "GET", "/http/api/");
          assert.match((await call()).stdout + (await call()).stderr, /OTHER.* expired at/);
          assert.equal(await sleeper(), before, "the agent goes on");
          assert.doesNotMatch(await cli("credential", "list", AGENT), /OTHER/);
          const again = await bureau.cli("credential", "remove", AGENT, "OTHER");
          assert.equal(again.code, 5, again.stderr);
          assert.match(again.stderr, /it has KEY/);
          assert.equal((await bureau.cli("credential", "rotate", AGENT, "OTHER", "-")).code, 5);
          // The homeserver, or a daemon that is taken over, brings the older event.
          const path = [config, "state", old.type, old.state_key!].map(encodeURIComponent).join(
            "/",
          );
          const now = await sealed();
          await matrix(bureau, `rooms/${path}`, { method: "PUT", body: old.content });
          await eventually("it is refused", async () => {
            const { stdout } = await bureau.cli("agent", "show", AGENT);
            return /a newer credential "OTHER" was seen/.test(stdout);
          }, 60_000);
          await matrix(bureau, `rooms/${path}`, { method: "PUT", body: now.content });
          await eventually("it is not started without it", async () => {
            const { stdout } = await bureau.cli("agent", "show", AGENT);
            return /credential "OTHER" expired at/.test(stdout);
          }, 60_000);
          await withFile(
            bureau,
            document({ OTHER }),
            (file) => cli("credential", "provision", AGENT, file),
          );
          await seen("api", { key: SECOND, other: OTHER });
        },
      );

      await step(t, bureau, "no value lies anywhere, nor is it in any event", async () => {
        const secrets = { FIRST, SECOND, OTHER };
        const looked = await scanDirectories([bureau.stateDir, bureau.runDir], secrets);
        assert.deepEqual(looked.findings, []);
        assert.ok(looked.files > 20, `${looked.files} files`);
      });
    });
  } finally {
    await upstream.stop();
  }
});
