// SPDX-License-Identifier: Apache-2.0

/** What a person's tools hold becomes an agent's, and outlives the machine's key through the escrow key. */
import assert from "node:assert/strict";
import { scanDirectories } from "../interop/scan.ts";
import { type Bureau, eventually, ROOT, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

const AGENT = "agent/keeper";
const FIRST = "token-of-a-tool-1b9f03aa71";
const SECOND = "token-that-came-later-55c01e";

/** `sh tasks/bureau …` of a person with this home and these variables. */
async function asPerson(
  bureau: Bureau,
  env: Record<string, string>,
  stdin: string | null,
  ...args: string[]
) {
  const child = new Deno.Command("sh", {
    args: [
      ...["tasks/bureau", ...args],
      ...["--state-dir", bureau.stateDir, "--run-dir", bureau.runDir],
    ],
    cwd: ROOT,
    env,
    stdin: stdin === null ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (stdin !== null) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("credentials are imported from a tool, and sealed again after the machine's key changed", async (t) => {
  const shown: string[] = [];
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ headers }) => {
    shown.push(headers.get("x-key") ?? "");
    return new Response("heard");
  });
  try {
    await withBureau(async (bureau) => {
      const cli = async (...args: string[]) => {
        const done = await bureau.cli(...args);
        assert.equal(done.code, 0, done.stderr + done.stdout);
        return done.stdout;
      };
      const start = async () => {
        const up = await bureau.up("--detach");
        assert.equal(up.code, 0, up.stderr);
      };
      await start();
      const host = `127.0.0.1:${upstream.addr.port}`;
      const home = `${bureau.stateDir}-home`;
      await Deno.mkdir(home);
      await Deno.writeTextFile(
        `${home}/.netrc`,
        `machine ${host} login me password ${FIRST}\ndefault login x password y\n`,
        { mode: 0o600 },
      );
      // The same Deno for all, whose packages are below the real home.
      const env = { DENO_DIR: `${Deno.env.get("HOME")}/.cache/deno`, HOME: home };
      const person = (...args: string[]) => asPerson(bureau, env, null, ...args);
      const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
      await matrix(bureau, `rooms/${templates}/state/m.bureau.template/keeper`, {
        method: "PUT",
        body: {
          description: "uses a key",
          inherits: ["bureau/template:agent"],
          command: ["/bin/sleep", "86424"],
          proxy_services: {
            api: { upstream: `http://${host}`, inject_headers: { "x-key": "KEY" } },
          },
          egress: { allow: [host] },
          authorization: { grants: [{ actions: ["http/**"] }] },
        },
      });
      const hears = (value: string) =>
        eventually(`the upstream is shown it`, async () => {
          const done = await bureau.cli("proxy", "call", AGENT, "GET", "/http/api/");
          assert.equal(done.code, 0, done.stderr);
          return shown.at(-1) === value;
        }, 60_000);

      await step(t, bureau, "an escrow key is made once", async () => {
        assert.equal((await bureau.cli("credential", "escrow", "show")).code, 5);
        assert.match(await cli("credential", "escrow", "init"), /sealed to age1/);
        assert.match(await cli("credential", "escrow", "show"), /^sealed to +age1/);
        assert.match(await cli("credential", "escrow", "init"), /there is one already/);
        const other = `age1${"q".repeat(58)}`;
        const refused = await bureau.cli("credential", "escrow", "init", "--recipient", other);
        assert.match(refused.stderr, /there is one/);
        const { mode } = await Deno.stat(`${bureau.stateDir}/operator/escrow-key.txt`);
        assert.equal(mode! & 0o777, 0o600);
      });

      await step(t, bureau, "what a tool holds is shown, and taken when asked to", async () => {
        const file = `${bureau.stateDir}-given`;
        const document = { KEY: { value: "to be replaced 123", allowed_hosts: [host] } };
        await Deno.writeTextFile(file, JSON.stringify(document), { mode: 0o600 });
        await cli(
          "agent",
          "create",
          AGENT,
          "--template",
          "bureau/template:keeper",
          "--credentials",
          file,
        );
        await Deno.remove(file);
        await hears("to be replaced 123");
        const looked = await person("credential", "import", AGENT, "netrc");
        assert.equal(looked.code, 0, looked.stderr);
        assert.match(looked.stdout, /netrc-127\S+ .* me at .*\nnothing was changed/);
        assert.ok(!looked.stdout.includes(FIRST));
        const { keys } = await keysOf(bureau);
        assert.deepEqual(keys, ["KEY"]);
        const taken = await asPerson(
          bureau,
          { ...env, KEY: FIRST },
          null,
          ...["credential", "import", AGENT, "--from-env", "KEY", "--host", host, "--yes"],
        );
        assert.equal(taken.code, 0, taken.stderr);
        await hears(FIRST);
        for (
          const [args, says] of [
            [["credential", "import", AGENT, "npmrc"], /no such file/],
            [["credential", "import", AGENT, "--from-env", "UNSET_ONE"], /not set/],
            [["credential", "import", AGENT, "--from-env", "A;id"], /no name of a variable/],
            [["credential", "import", AGENT, "--from-env", "HOME"], /where it may go/],
            [["credential", "import", AGENT], /name one source/],
          ] as const
        ) {
          const done = await person(...args);
          assert.notEqual(done.code, 0);
          assert.match(done.stderr, says);
        }
      });

      await step(
        t,
        bureau,
        "after the machine's key is gone, what is in escrow is sealed again",
        async () => {
          const done = await asPerson(
            bureau,
            {},
            SECOND,
            "credential",
            "rotate",
            AGENT,
            "KEY",
            "-",
          );
          assert.equal(done.code, 0, done.stderr);
          await hears(SECOND);
          await bureau.down();
          for (const name of ["machine-key.txt", "machine-key.pub"]) {
            await Deno.remove(`${bureau.stateDir}/launcher/${name}`);
          }
          await start();
          await eventually("it can't run with what it can't open", async () => {
            const { stdout } = await bureau.cli("agent", "show", AGENT);
            return stdout.includes("was not sealed to this machine's key");
          }, 60_000);
          assert.match(
            (await bureau.cli("credential", "rotate", AGENT, "KEY", "/dev/null")).stderr +
              (await asPerson(bureau, {}, "x", "credential", "rotate", AGENT, "KEY")).stderr,
            /another key than this machine's/,
          );
          assert.match(
            await cli("credential", "reseal", AGENT),
            /keeper is sealed to this machine/,
          );
          await hears(SECOND);
        },
      );

      await step(t, bureau, "no value lies anywhere", async () => {
        const secrets = { FIRST, SECOND };
        const looked = await scanDirectories([bureau.stateDir, bureau.runDir], secrets);
        assert.deepEqual(looked.findings, []);
      });
    });
  } finally {
    await upstream.shutdown();
  }
});

async function keysOf(bureau: Bureau): Promise<{ keys: string[] }> {
  const { credentials } = await bureau.json<{ credentials: { name: string }[] }>(
    ...["credential", "list", AGENT],
  );
  return { keys: credentials.map(({ name }) => name) };
}
