// SPDX-License-Identifier: Apache-2.0

/** Which action guards each route of the daemon's socket: a route that is not in the table fails the test. */
import assert from "node:assert/strict";
import { UNIX_HOST } from "../lib/http/mod.ts";
import { EventType, type Template } from "../lib/schema/mod.ts";
import { registerWithSharedSecret } from "../messaging/mod.ts";
import { SECRET } from "../homeserver/_process.ts";
import { daemonApi } from "./api.ts";
import { putRecording, recordingsOf } from "./recordings/testing/files.ts";
import { Bench, FLEET, SERVER_NAME, until } from "./bench_test.ts";

const template: Template = { description: "t", command: ["/bin/true"] };
const A = `@${FLEET}/agent/a:${SERVER_NAME}`;

type Name = keyof typeof daemonApi.routes;
interface Guard {
  /** Null: of oneself anybody may ask. */
  readonly action: string | null;
  /** What it is asked on. */
  readonly on: "agent" | "machine" | "self";
  /** Instead of an error, what may not be seen is left out. */
  readonly filtered?: true;
}

/** `health` tells nothing but that somebody is there; `upgrade` is the supervisor's. */
const UNGUARDED = ["health", "upgrade"] as const;
type Guarded = Exclude<Name, (typeof UNGUARDED)[number]>;
const GUARDS: Readonly<Record<Guarded, Guard>> = {
  status: { action: "observe", on: "agent", filtered: true },
  list: { action: "observe", on: "agent", filtered: true },
  show: { action: "observe", on: "agent" },
  attention: { action: "observe", on: "agent", filtered: true },
  notifyTargets: { action: "notify", on: "machine" },
  notifyTest: { action: "notify", on: "machine" },
  usage: { action: "observe", on: "agent" },
  output: { action: "observe", on: "agent" },
  agentMetrics: { action: "observe", on: "agent" },
  egressOf: { action: "observe", on: "agent" },
  traffic: { action: "observe", on: "agent", filtered: true },
  observe: { action: "observe", on: "agent" },
  freeze: { action: "interrupt", on: "agent" },
  thaw: { action: "interrupt", on: "agent" },
  kill: { action: "interrupt/terminate", on: "agent" },
  metrics: { action: "metrics", on: "machine" },
  serviceToken: { action: "service/token", on: "machine" },
  serviceGet: { action: "service/token", on: "machine" },
  servicePost: { action: "service/token", on: "machine" },
  asks: { action: "grant/approve/forward", on: "machine" },
  decide: { action: "grant/approve/forward", on: "machine" },
  followAsks: { action: "grant/approve/forward", on: "machine" },
  approvals: { action: "grant/approve/tool", on: "agent", filtered: true },
  decideApproval: { action: "grant/approve/tool", on: "agent" },
  askApproval: { action: "grant/approve/tool", on: "machine" },
  withdrawApproval: { action: "grant/approve/tool", on: "machine" },
  followApprovals: { action: "grant/approve/tool", on: "agent", filtered: true },
  followEvents: { action: "matrix/read", on: "self" },
  roomState: { action: "matrix/read", on: "self" },
  recorded: { action: "observe", on: "agent", filtered: true },
  recordings: { action: "observe", on: "agent" },
  recording: { action: "observe", on: "agent" },
  followRecording: { action: "observe", on: "agent" },
  web: { action: "web/open", on: "machine" },
  webLink: { action: "web/open", on: "machine" },
  webTokens: { action: "web/token", on: "machine" },
  webTokenCreate: { action: "web/token", on: "machine" },
  webTokenRevoke: { action: "web/token", on: "machine" },
  webShares: { action: "web/share", on: "machine" },
  webShareCreate: { action: "web/share", on: "machine" },
  webShareRevoke: { action: "web/share", on: "machine" },
  webListen: { action: "web/listen", on: "machine" },
  askPeer: { action: "peer/ask", on: "machine" },
  observePeer: { action: "peer/ask", on: "machine" },
  authorizationOf: { action: null, on: "self" },
  checkAuthorization: { action: null, on: "self" },
};

/** Key of a worker's question that has ended. */
const USED = crypto.randomUUID();

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Refused for want of rights, and not for want of a WebSocket, an ask or a proxy. */
function refused({ status, text }: Answer, { filtered }: Guard): boolean {
  if (filtered) return status === 401 || !text.includes("agent/a");
  if (status !== 401 && status !== 403 && status !== 404) return false;
  return /"code":"(unauthenticated|forbidden|not-found)"/.test(text);
}

async function firstEvent(body: ReadableStream<Uint8Array>): Promise<string> {
  const reader = body.getReader();
  let text = "";
  while (!text.includes("data: ") || !text.endsWith("\n\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text;
}

Deno.test("every route of the daemon is guarded by one action, and by no other", async (t) => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  b.launcher.asked.set(`${FLEET}/agent/a`, [
    { key: crypto.randomUUID(), tool: "Bash", permission: "execute-command", resource: "true" },
  ]);
  await b.assign("agent/a", template);
  const recordings = await recordingsOf(b.bootstrap.run_dir, `${FLEET}/agent/a`);
  await putRecording(recordings, { startedAt: Date.now(), lines: [] });
  const { configRoom, operatorId, operatorToken, machine } = b.setup;
  const stranger = await registerWithSharedSecret(
    { homeserverUrl: b.setup.homeserver.url },
    { user: "stranger", password: "password of a stranger" },
    SECRET,
  );
  const client = b.client();
  const http = Deno.createHttpClient({
    proxy: { transport: "unix", path: `${b.bootstrap.run_dir}/daemon/daemon.sock` },
  });
  const QUERIES: Partial<Record<Name, string>> = {
    followEvents: `?types=m.room.message&rooms=${encodeURIComponent(configRoom)}`,
    roomState: `?room=${encodeURIComponent(configRoom)}`,
    authorizationOf: `?user=${encodeURIComponent(operatorId)}`,
    checkAuthorization: `?actor=${encodeURIComponent(operatorId)}&action=observe`,
  };
  const BODIES: Partial<Record<Name, unknown>> = {
    decide: { ask: "nosuch", verdict: "deny", scope: "once" },
    decideApproval: { id: "nosuch", verdict: "deny" },
    askApproval: { key: USED, tool: "t", permission: "other", resource: "" },
    withdrawApproval: { key: USED },
    upgrade: { seen: null, asked: null },
    notifyTest: {},
    webTokenCreate: { name: "n", for_ms: 60_000 },
    webShareCreate: { principal: "agent/a", for_ms: 60_000 },
    webListen: { address: null },
  };
  async function ask(name: Name, token: string | null): Promise<Answer> {
    const { method, path } = daemonApi.routes[name];
    const body = BODIES[name] === undefined ? null : JSON.stringify(BODIES[name]);
    const stop = new AbortController();
    const response = await fetch(
      `http://${UNIX_HOST}${
        path.replace(":principal", "agent%2Fa").replace(":role", "echo").replace(":id", "nosuch")
      }${QUERIES[name] ?? ""}`,
      {
        client: http,
        method,
        body,
        signal: stop.signal,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === null ? {} : { "content-type": "application/json" }),
        },
      },
    );
    const streams = response.headers.get("content-type")?.startsWith("text/event-stream");
    // What is left out is left out of the first event; other streams answer nothing that would be looked at.
    const text = !streams
      ? await response.text()
      : GUARDS[name as Guarded]?.filtered
      ? await firstEvent(response.body!)
      : "";
    if (streams) {
      await response.body?.cancel();
      stop.abort();
    }
    return { status: response.status, text };
  }
  const names = (Object.keys(daemonApi.routes) as Name[]).filter((name): name is Guarded =>
    !UNGUARDED.some((one) => one === name)
  );
  const may = async (action: string, on: Guard["on"]) => {
    const target = on === "agent" ? { target: A } : on === "machine" ? { target: machine } : {};
    const query = { actor: operatorId, action, ...target };
    return (await client.call("checkAuthorization", { query })).allowed;
  };
  const deny = (actions: readonly string[]) =>
    b.operator.putState(configRoom, EventType.authorization, operatorId.slice(1), {
      denials: actions.length === 0 ? [] : [{ actions }],
    });
  try {
    await until(async () => (await client.call("list")).principals.length === 1, "the agent");
    await until(
      async () => (await client.call("approvals")).pending.length === 1,
      "it asks for leave",
    );

    // Answered at once from then on.
    const withdraw = async () => {
      await client.call("withdrawApproval", { body: { key: USED } });
      const { ended } = await client.call("approvals");
      return ended.some(({ resource }) => resource === "used");
    };
    const body = { key: USED, tool: "t", permission: "other", resource: "used" } as const;
    const first = client.call("askApproval", { body });
    await until(withdraw, "a worker's question is withdrawn");
    assert.equal((await first).approved, false);

    await t.step("the table names every route", () => {
      assert.deepEqual(names.toSorted(), Object.keys(GUARDS).toSorted());
    });

    await t.step("nothing is said to nobody, and to who is not who they say", async () => {
      for (const name of names) {
        for (const token of [null, "made-up"]) {
          assert.equal((await ask(name, token)).status, 401, `${name} ${token}`);
        }
      }
      assert.equal((await ask("health", null)).status, 200);
    });

    await t.step("nobody is the supervisor, where there is none", async () => {
      for (const token of [null, "", "undefined", operatorToken]) {
        const { status, text } = await ask("upgrade", token);
        assert.equal(status, 401, text);
        assert.match(text, /not of the supervisor/);
      }
    });

    await t.step("a stranger with an account is refused everywhere", async () => {
      for (const name of names) {
        const answer = await ask(name, stranger.access_token);
        assert.ok(refused(answer, GUARDS[name]), `${name}: ${answer.status} ${answer.text}`);
      }
    });

    await t.step("an operator is refused nowhere", async () => {
      for (const name of names) {
        const answer = await ask(name, operatorToken);
        assert.ok(!refused(answer, GUARDS[name]), `${name}: ${answer.status} ${answer.text}`);
      }
    });

    const actions = [...new Set(names.map((name) => GUARDS[name].action))]
      .filter((action) => action !== null);
    for (const action of actions) {
      await t.step(`without ${action} what it guards is refused, and nothing else`, async () => {
        const { on } = Object.values(GUARDS).find((guard) => guard.action === action)!;
        await deny([action]);
        await until(async () => !await may(action, on), `${action} is denied`);
        for (const name of names) {
          const answer = await ask(name, operatorToken);
          assert.equal(
            refused(answer, GUARDS[name]),
            GUARDS[name].action === action,
            `${name}: ${answer.status} ${answer.text}`,
          );
        }
        await deny([]);
        await until(() => may(action, on), `${action} is allowed again`);
      });
    }
  } finally {
    client.close();
    http.close();
  }
});
