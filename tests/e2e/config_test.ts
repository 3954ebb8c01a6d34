// SPDX-License-Identifier: Apache-2.0

/** `up` starts from the machine's file and environment, and refuses a file with a mistake in it. */
import assert from "node:assert/strict";
import { type Bureau, type Finished, freePort, ROOT, step, withBureau } from "./harness.ts";

/** `sh tasks/…` with nothing of the harness's flags but the directories. */
async function task(
  bureau: Bureau,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  const [name, ...args] = words;
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [
      ...[`tasks/${name}`, ...args],
      ...["--state-dir", bureau.stateDir, "--run-dir", bureau.runDir],
    ],
    cwd: ROOT,
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

interface Shown {
  readonly settings: readonly { setting: string; value: string; from: string }[];
}

Deno.test("a machine is configured by its file, the environment over it, and flags over both", async (t) => {
  await withBureau(async (bureau) => {
    const file = `${bureau.stateDir}/operator/bureau.yaml`;
    const write = (text: string) => Deno.writeTextFile(file, text);

    await step(t, bureau, "init writes a file that says nothing yet, once", async () => {
      const init = await task(bureau, ["bureau", "config", "init"]);
      assert.equal(init.code, 0, init.stderr);
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
      const text = await Deno.readTextFile(file);
      await write(`${text}# mine\n`);
      assert.equal((await task(bureau, ["bureau", "config", "init"])).code, 0);
      assert.equal(await Deno.readTextFile(file), `${text}# mine\n`);
      const check = await task(bureau, ["bureau", "config", "check"]);
      assert.equal(check.code, 0, check.stdout);
    });

    await step(
      t,
      bureau,
      "a mistake keeps up from starting anything, and says where it is",
      async () => {
        await write("agent: false\nlisten: here\nhomserver: http://127.0.0.1:1\n");
        const up = await task(bureau, ["up", "--detach"]);
        assert.equal(up.code, 1, up.stdout);
        const places = [
          `${file}:2:9: listen: takes HOST:PORT`,
          `${file}:3:1: homserver: there is no such setting; do you mean homeserver?`,
        ];
        for (const place of places) assert.ok(up.stderr.includes(place), up.stderr);
        const check = await task(bureau, ["bureau", "config", "check"]);
        assert.deepEqual([check.code, check.stdout], [1, places.join("\n") + "\n"]);
        await write("agent: false\n");
        await Deno.chmod(file, 0o666);
        const open = await task(bureau, ["up", "--detach"]);
        assert.equal(open.code, 1, open.stdout);
        assert.match(open.stderr, /somebody else may write it/);
        await Deno.chmod(file, 0o600);
      },
    );

    await step(t, bureau, "up starts from it", async () => {
      const { homeserver, authority } = bureau.ports;
      await write(
        `# by hand\nlisten: 127.0.0.1:${homeserver}\nauthority: 127.0.0.1:${authority}\nagent: false\n`,
      );
      const up = await task(bureau, ["up", "--detach"]);
      assert.equal(up.code, 0, up.stderr);
      const status = await bureau.json<{
        supervisor: { homeserver_url: string; agent: string | null };
      }>("status");
      assert.deepEqual(
        [status.supervisor.homeserver_url, status.supervisor.agent],
        [`http://127.0.0.1:${homeserver}`, null],
      );
      assert.equal((await bureau.down()).code, 0);
    });

    await step(t, bureau, "the environment comes before it, and a flag before that", async () => {
      const port = freePort();
      const env = { BUREAU_LISTEN: `127.0.0.1:${port}`, BUREAU_REPO: bureau.repo };
      const shown = await task(bureau, ["bureau", "config", "show", "--json"], env);
      assert.equal(shown.code, 0, shown.stderr);
      const { settings } = JSON.parse(shown.stdout) as Shown;
      const from = Object.fromEntries(settings.map((one) => [one.setting, one.from]));
      assert.deepEqual(from, {
        homeserver: "default",
        registration_token_file: "default",
        listen: "BUREAU_LISTEN",
        authority: `${file}:3:1`,
        agent: `${file}:4:1`,
        repo: "BUREAU_REPO",
        web: "default",
        web_origin: "default",
      });
      const wrong = await task(bureau, ["up", "--detach"], { BUREAU_LISTEN: "nowhere" });
      assert.equal(wrong.code, 1, wrong.stdout);
      assert.match(wrong.stderr, /BUREAU_LISTEN: listen: takes HOST:PORT/);
      const listen = `127.0.0.1:${bureau.ports.homeserver}`;
      const up = await task(bureau, ["up", "--detach", "--listen", listen], env);
      assert.equal(up.code, 0, up.stderr);
      const status = await bureau.json<{ supervisor: { homeserver_url: string } }>("status");
      assert.equal(status.supervisor.homeserver_url, `http://${listen}`);
    });
  });
});
