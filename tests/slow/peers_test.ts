// SPDX-License-Identifier: Apache-2.0

/** An agent of another machine of the fleet, watched and driven from the operator's. */
import assert from "node:assert/strict";
import { ObserveStream, type Viewer } from "../../src/cli/observe/stream.ts";
import { peerDaemon } from "../../src/cli/machine/peer.ts";
import type { OperatorSession } from "../../src/cli/session.ts";
import { daemonApi } from "../../src/daemon/api.ts";
import { createClient } from "../../src/lib/http/mod.ts";
import { generateSigningKey, parseSigningKey } from "../../src/lib/signature/mod.ts";
import {
  type Bureau,
  eventually,
  findProcess,
  freePort,
  step,
  withBureau,
} from "../e2e/harness.ts";
import { matrix, roomId } from "../e2e/matrix.ts";
import { PersonTerminal } from "../e2e/terminal.ts";

const TASKS = new URL("../../tasks/bureau", import.meta.url).pathname;
const WORKER = "bureau/fleet/dev/machine/worker";
const SLOW_MS = 90_000;

Deno.test("agents of another machine are watched through that machine's daemon", async (t) => {
  await withBureau((one) => withBureau((two) => scenario(t, one, two)));
});

async function observe(bureau: Bureau, terminal: PersonTerminal, ...args: string[]) {
  const words = ["sh", TASKS, "observe", ...args, "--state-dir", bureau.stateDir];
  await terminal.enter(
    `clear; ${[...words, "--run-dir", bureau.runDir].join(" ")}; echo "ended $?"`,
  );
}

const daemonOf = (bureau: Bureau) =>
  findProcess(bureau, (line) => line.trim().endsWith(`${bureau.stateDir}/runtime/daemon.js`));

async function scenario(t: Deno.TestContext, one: Bureau, two: Bureau): Promise<void> {
  const up = await one.up("--detach", "--no-agent");
  assert.equal(up.code, 0, up.stderr);
  const { boot_file: made } = await one.json<{ boot_file: string }>(
    ...["machine", "provision", "worker"],
  );
  const file = `${two.repo}/../boot.json`;
  await Deno.copyFile(made, file);
  await Deno.mkdir(`${two.stateDir}/operator`, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(
    `${two.stateDir}/operator/bureau.yaml`,
    `peer:\n  listen: 127.0.0.1:${freePort()}\n`,
    { mode: 0o600 },
  );
  const joined = await two.up("--detach", "--join", file);
  assert.equal(joined.code, 0, joined.stderr);
  const agent = await one.cli("agent", "create", "agent/b", "--machine", "worker");
  assert.equal(agent.code, 0, agent.stderr);
  const session = JSON.parse(
    await Deno.readTextFile(`${one.stateDir}/operator/session.json`),
  ) as OperatorSession;
  const me = session.user_id;

  await step(t, one, "its screen, and the list of that machine", async () => {
    const dumped = await eventually("it is shown", async () => {
      const shown = await one.cli("observe", "agent/b@worker", "--dump");
      if (shown.code !== 0) throw new Error(shown.stderr);
      return shown.stdout;
    }, SLOW_MS);
    assert.match(dumped, /\$/);
    // Without the machine's name it is found by its assignment.
    assert.equal((await one.cli("observe", "b", "--dump")).code, 0);
    const listed = await one.cli("list", "--machine", "worker");
    assert.match(listed.stdout, /^agent\/b /m, listed.stderr);
    assert.doesNotMatch((await one.cli("list")).stdout, /agent\/b/);
    const nobody = await one.cli("observe", "agent/nobody@worker", "--dump");
    assert.equal(nobody.code, 5, nobody.stderr);
    assert.match(nobody.stderr, /no such principal on this machine/);
  });

  await step(t, one, "keys go there; who watches from where is seen and written down", async () => {
    await using typist = await PersonTerminal.open(110, 30);
    await observe(one, typist, "agent/b");
    await typist.shows(/agent\/b/);
    await typist.enter("echo there-$((6*7))");
    await typist.shows(/^there-42/m);
    await eventually("the audit says who and from where", async () => {
      const text = await Deno.readTextFile(`${two.stateDir}/daemon/audit.jsonl`);
      return text.split("\n").some((line) =>
        line.includes('"observe/read-write"') && line.includes(`${me} (from `)
      );
    });
    await using reader = await PersonTerminal.open(110, 30);
    await observe(one, reader, "agent/b@worker", "--readonly");
    await reader.shows(/there-42/);
    await reader.shows(/\(from /);
    await reader.enter("echo never");
    await typist.enter("echo later-$((2*4))");
    await reader.shows(/^later-8/m);
    assert.doesNotMatch(await typist.screen(), /never/);
  });

  await step(t, one, "rights end there, at once, by that machine's own word", async () => {
    await using typist = await PersonTerminal.open(110, 30);
    await observe(one, typist, "agent/b");
    await typist.enter("echo again-$((6*7))");
    await typist.shows(/^again-42/m);
    const config = encodeURIComponent(await roomId(one, WORKER));
    const path = `rooms/${config}/state/m.bureau.authorization/${encodeURIComponent(me.slice(1))}`;
    const policy = async (denials: { actions: string[] }[]) =>
      void await matrix(one, path, { method: "PUT", body: { denials } });
    await policy([{ actions: ["observe/read-write"] }]);
    await typist.shows(/you may not type here any more/);
    await policy([{ actions: ["observe/**"] }]);
    await typist.shows(/^ended \d/m);
    const refused = await one.cli("observe", "agent/b@worker", "--dump");
    assert.equal(refused.code, 5, refused.stderr);
    await policy([]);
    await eventually("it may be watched again", async () => {
      return (await one.cli("observe", "agent/b@worker", "--dump")).code === 0;
    }, SLOW_MS);
  });

  const key = await parseSigningKey(
    JSON.parse(await Deno.readTextFile(`${one.stateDir}/operator/signing-key.json`)),
  );
  const client = createClient(daemonApi, {
    socket: `${one.runDir}/daemon/daemon.sock`,
    token: session.access_token,
  });
  const there = peerDaemon(client, session, key, WORKER);
  const principal = "bureau/fleet/dev/agent/b";
  try {
    await step(t, one, "no byte is lost or doubled when either daemon dies", async () => {
      const stop = new AbortController();
      const seen = { bytes: 0, begin: -1, gaps: 0, connections: 0, text: "" };
      const none = () => {};
      const viewer: Viewer = {
        metadata: ({ offset }) => {
          seen.connections++;
          if (seen.begin < 0) seen.begin = offset;
        },
        output: (bytes) => {
          seen.bytes += bytes.length;
          seen.text = (seen.text + new TextDecoder().decode(bytes)).slice(-2_000);
        },
        gap: () => void seen.gaps++,
        ...{ snapshot: none, size: none, people: none, mode: none, bell: none, title: none },
        ...{ screen: none, lost: none },
      };
      const connect = (query: Record<string, string>) => there.observe(principal, query);
      const stream = new ObserveStream(viewer, {
        mode: "readwrite",
        size: () => ({ cols: 80, rows: 24 }),
        connect,
        over: async () => (await there.show(principal, stop.signal), null),
        signal: stop.signal,
      });
      const running = stream.run(await connect(stream.query()));
      const typed = (text: string) =>
        eventually(
          "it is typed",
          () => Promise.resolve(stream.type(new TextEncoder().encode(text))),
        );
      await typed(
        "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo n$i; sleep 0.05; done; echo o''ver\r",
      );
      await eventually("it counts", () => Promise.resolve(seen.text.includes("n20")), SLOW_MS);
      for (const bureau of [two, one]) {
        const before = seen.connections;
        const pid = await daemonOf(bureau);
        assert.ok(pid !== null);
        Deno.kill(pid, "SIGKILL");
        await eventually(
          "it is watched again",
          () => Promise.resolve(seen.connections > before && stream.connected),
          SLOW_MS,
        );
      }
      await eventually("it has ended", () => Promise.resolve(seen.text.includes("over")), SLOW_MS);
      assert.equal(seen.gaps, 0);
      assert.equal(stream.position.offset - seen.begin, seen.bytes);
      stop.abort();
      await running;
    });

    await step(t, one, "a daemon can't ask for more than it was given to carry", async () => {
      // By hand, as a daemon would that was taken over: the same warrant again, and another request.
      const ask = async (query: Record<string, string>) => {
        const machine = `@${WORKER}:${session.server_name}`;
        const call = client.call("askPeer", { params: { machine }, query });
        return await call.then(() => "none", (thrown) => thrown.code as string);
      };
      let warrant = "";
      const listening = {
        ...client,
        call: (_: string, { query }: { query: { warrant: string } }) => {
          warrant = query.warrant;
          return Promise.reject(new Error("kept"));
        },
      } as unknown as typeof client;
      const thief = peerDaemon(listening, session, key, WORKER);
      await assert.rejects(thief.show(principal, AbortSignal.timeout(60_000)), /kept/);
      const path = `/v1/principals/${encodeURIComponent(principal)}`;
      assert.equal(await ask({ path, warrant }), "none");
      assert.equal(await ask({ path, warrant }), "peer-used");
      const mine = await generateSigningKey();
      await assert.rejects(
        peerDaemon(client, session, mine, WORKER).list(AbortSignal.timeout(60_000)),
        { code: "peer-forged" },
      );
    });
  } finally {
    client.close();
  }
}
