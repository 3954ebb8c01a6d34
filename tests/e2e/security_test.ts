// SPDX-License-Identifier: Apache-2.0

/** The whole system under attack: by an agent, by a stranger on the homeserver, by another local user. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { bureauTemplate, signAssignment } from "../bench/assignments.ts";
import { type Bureau, embeddedOnly, eventually, withBureau } from "./harness.ts";
import { roomId, SCRIBE } from "./matrix.ts";

interface View {
  readonly principal: string;
  readonly phase: string;
  readonly restarts: number;
}

async function started(bureau: Bureau): Promise<void> {
  const done = await bureau.up("--detach");
  assert.equal(done.code, 0, done.stdout + done.stderr);
}

async function view(bureau: Bureau, name: string): Promise<View | undefined> {
  const { principals } = await bureau.json<{ principals: View[] }>("agent", "list");
  return principals.find((one) => one.principal.endsWith(`/agent/${name}`));
}

/** Runs a shell script as an agent with a workspace that it may write. @returns the workspace */
async function attack(
  bureau: Bureau,
  name: string,
  script: string,
  restart_policy: "never" | "always" = "never",
): Promise<string> {
  await bureauTemplate(bureau, name, {
    inherits: ["bureau/template:base"],
    command: ["/bin/sh", "-c", script],
    filesystem: [{ source: "${WORKSPACE}", dest: "/workspace", mode: "rw" }],
    restart_policy,
  });
  const prepared = await signAssignment(bureau, name, name, "running");
  await prepared.put();
  return prepared.workspace;
}

const output = (workspace: string, file: string) =>
  eventually(file, () => Deno.readTextFile(`${workspace}/${file}`).catch(() => null));

Deno.test("an agent that plants links, floods and dies again and again harms nobody", async () => {
  await withBureau(async (bureau) => {
    await started(bureau);
    const key = `${bureau.stateDir}/launcher/machine-key.txt`;
    const secret = await Deno.readTextFile(key);
    // Links and a file of 100 GB are there when it is started again; then it looks through them.
    const links = await attack(
      bureau,
      "links",
      `cd /workspace
       if [ ! -e again ]; then
         touch again; ln -s ${key} key; ln -s /etc/shadow shadow; ln -s ${bureau.runDir}/p others
         ln -s / root; mkfifo fifo; truncate -s 100G huge; exit 1
       fi
       { cat key shadow; ls others/; cat root/${key}; } >seen 2>/dev/null
       echo own >mine; cat mine >>seen; mv seen out; exec sleep 1000`,
      "always",
    );
    const noisy = await attack(bureau, "noisy", "yes flood; exit 1", "always");
    const dying = await attack(bureau, "dying", "exit 3", "always");
    // Control: what it may read, it reads.
    assert.equal(await output(links, "out"), "own\n");
    await eventually("its end is counted and waited for", async () => {
      const one = await view(bureau, "dying");
      return one?.phase === "backing-off" && one.restarts >= 3;
    });
    assert.ok((await view(bureau, "dying"))!.restarts < 6);
    assert.equal((await view(bureau, "noisy"))?.phase, "running");
    assert.equal((await view(bureau, "scribe"))?.phase, "running");
    assert.equal(await Deno.readTextFile(key), secret);
    for (const workspace of [noisy, dying]) await Deno.remove(workspace, { recursive: true });
  });
});

Deno.test("what the homeserver and the daemon give a stranger is nothing", async () => {
  await withBureau(async (bureau) => {
    await started(bureau);
    const mallory = await register(bureau, "mallory");
    const room = encodeURIComponent(await roomId(bureau, SCRIBE));
    const config = encodeURIComponent(await configRoom(bureau));
    for (const id of [room, config]) {
      for (
        const [method, path, body] of [
          ["POST", `join/${id}`, {}],
          ["GET", `rooms/${id}/state`],
          ["GET", `rooms/${id}/messages?dir=b`],
          ["GET", `rooms/${id}/joined_members`],
          ["PUT", `rooms/${id}/state/m.bureau.assignment/x`, { version: 1 }],
          ["PUT", `rooms/${id}/send/m.room.message/1`, { msgtype: "m.text", body: "report /" }],
        ] as const
      ) {
        const { status } = await mallory.call(method, path, body);
        assert.equal(status, 403, `${method} ${path}`);
      }
    }
    // The daemon knows who it is, shows it nobody, and stays out of its rooms.
    const machine = await session(bureau, "machine-session");
    const own = await mallory.call("POST", "createRoom", {
      preset: "private_chat",
      invite: [machine.user_id],
    });
    assert.equal(own.status, 200);
    const daemon = Deno.createHttpClient({
      proxy: { transport: "unix", path: `${bureau.runDir}/daemon/daemon.sock` },
    });
    const list = async (token: string) => {
      const response = await fetch("http://192.0.2.1/v1/principals", {
        client: daemon,
        headers: { authorization: `Bearer ${token}` },
      });
      return { status: response.status, text: await response.text() };
    };
    assert.deepEqual(await list(mallory.token), { status: 200, text: '{"principals":[]}' });
    assert.equal((await list("nonsense")).status, 401);
    // Control: the operator sees the agent, and the machine is where it belongs.
    const operator = await session(bureau, "session");
    assert.match((await list(operator.access_token)).text, /scribe/);
    daemon.close();
    const joined = JSON.stringify(
      (await call(bureau, machine.access_token, "GET", "joined_rooms")).body,
    );
    assert.ok(joined.includes(decodeURIComponent(config)));
    assert.ok(!joined.includes(String(own.body["room_id"])));
  });
});

Deno.test("another local user reads no secret and reaches no socket", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root can become another user");
  await withBureau(async (bureau) => {
    await started(bureau);
    const script = `
      find "$1" "$2" -path "$1/runtime" -prune -o -type f -readable -print 2>/dev/null
      for file in operator/session.json operator/signing-key.json operator/homeserver-secret \\
        launcher/machine-key.txt daemon/sync.json homeserver/homeserver.db authority/tls.key logs/up.log
      do cat "$1/$file" >/dev/null 2>&1 && echo "read $file"; done
      for socket in up/up launcher/launcher daemon/daemon; do
        curl -s -m 5 --unix-socket "$2/$socket.sock" http://x/v1/status >/dev/null && echo "reached $socket"
      done
      touch "$1/x" "$2/x" "$2/p/x" 2>/dev/null && echo wrote
      cat "$1/operator/policy.json" >/dev/null && echo control`;
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", script, "sh", bureau.stateDir, bureau.runDir],
      uid: 12_345,
      gid: 12_345,
      cwd: "/",
    }).output();
    const said = new TextDecoder().decode(stdout).trim().split("\n");
    // Public by design: certificates and the launcher's policy, which holds public keys.
    const open = said.filter((line) => !/\/authority\/\w+\.pem$/.test(line));
    assert.deepEqual(open, ["control"]);
  });
});

Deno.test(
  embeddedOnly("a lost homeserver database or session is told, and the next start mends it"),
  async () => {
    await withBureau(async (bureau) => {
      await started(bureau);
      const machine = await session(bureau, "machine-session");
      const operator = await session(bureau, "session");
      for (const { access_token } of [machine, operator]) {
        assert.equal((await call(bureau, access_token, "POST", "logout", {})).status, 200);
      }
      const note = await eventually("the reason is shown", async () => {
        const { stdout } = await bureau.cli("status");
        return /daemon +restarting.*$/m.exec(stdout)?.[0];
      });
      assert.match(note, /token/);
      assert.match(note, /deno task up/);
      // Nobody could stop the agent any more, so it was.
      await eventually("the agent is ended", async () => {
        for await (const _ of Deno.readDir(`${bureau.runDir}/p`)) return false;
        return true;
      });
      assert.equal((await bureau.down()).code, 0);
      await started(bureau);
      await eventually("it runs", async () => (await view(bureau, "scribe"))?.phase === "running");
      assert.equal((await bureau.down()).code, 0);
      for await (const { name } of Deno.readDir(`${bureau.stateDir}/homeserver`)) {
        await Deno.remove(`${bureau.stateDir}/homeserver/${name}`);
      }
      await started(bureau);
      await eventually("it runs", async () => (await view(bureau, "scribe"))?.phase === "running");
    });
  },
);

interface Session {
  readonly user_id: string;
  readonly access_token: string;
}

async function session(bureau: Bureau, name: string): Promise<Session> {
  return JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/${name}.json`));
}

async function configRoom(bureau: Bureau): Promise<string> {
  const { user_id } = await session(bureau, "machine-session");
  return await roomId(bureau, user_id.slice(1).split(":")[0]!);
}

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function call(
  bureau: Bureau,
  token: string | null,
  method: string,
  path: string,
  body?: unknown,
): Promise<Reply> {
  const base = bureau.homeserver.url;
  const url = path.startsWith("/") ? base + path : `${base}/_matrix/client/v3/${path}`;
  const response = await fetch(url, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** An account that the operator gave somebody. */
async function register(bureau: Bureau, username: string) {
  const { token } = await bureau.stranger(username);
  return {
    token,
    call: (method: string, path: string, body?: unknown) => call(bureau, token, method, path, body),
  };
}
