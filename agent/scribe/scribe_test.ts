// SPDX-License-Identifier: Apache-2.0

/**
 * The scribe in a sandbox without a network, against a real proxy in its cell, the embedded homeserver and
 * the example's authority.
 */
import assert from "node:assert/strict";
import { Server, type User } from "../../src/homeserver/_process.ts";
import { buildRuntime, startCell } from "../../src/proxy/testing/cell.ts";
import { startGate } from "../../src/proxy/testing/gate.ts";
import { bootstrapWith } from "../../src/proxy/testing/harness.ts";
import { startAuthority } from "./authority/authority.ts";

const SCRIBE = new URL("./scribe", import.meta.url).pathname;
const API_KEY = "the authority's key";

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: {
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_DATE: "2026-01-02T03:04:05Z",
      GIT_COMMITTER_DATE: "2026-01-02T03:04:05Z",
    },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command}: ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

async function makeRepository(dir: string): Promise<void> {
  await Deno.mkdir(`${dir}/src`, { recursive: true });
  await Deno.writeTextFile(`${dir}/README.md`, "one\ntwo\n");
  await Deno.writeTextFile(`${dir}/src/a.ts`, "export {};\n");
  await Deno.writeTextFile(`${dir}/odd \x1b[31mname`, "x\n");
  const git = (...args: string[]) =>
    run("git", ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args], dir);
  await git("init", "-q");
  await git("add", "-A");
  await git("commit", "-q", "-m", "first");
}

interface Scribe {
  screen(): string;
  type(line: string): Promise<void>;
  end(signal: Deno.Signal): Promise<number>;
}

function startScribe(dir: string): Scribe {
  const child = new Deno.Command("/usr/bin/bwrap", {
    args: [
      ...["--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"],
      ...[
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--cap-drop",
        "ALL",
        "--setenv",
        "PATH",
        "/usr/bin:/bin",
      ],
      ...["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib"],
      ...["/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"],
      ...["--tmpfs", "/tmp", "--tmpfs", "/scratch", "--ro-bind", `${dir}/repo`, "/workspace"],
      ...["--ro-bind", `${dir}/p/agent`, "/run/bureau/agent", "--symlink", "agent/proxy.sock"],
      ...["/run/bureau/proxy.sock", "--ro-bind", SCRIBE, "/scribe", "--", "/scribe"],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let screen = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) screen += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  const stdin = child.stdin.getWriter();
  return {
    screen: () => screen,
    type: (line) => stdin.write(new TextEncoder().encode(`${line}\n`)),
    async end(signal) {
      child.kill(signal);
      await stdin.close().catch(() => {});
      await reading;
      return (await child.status).code;
    },
  };
}

/** Waits for a condition; each check is a look at the room or the screen. */
async function until<T>(what: string, look: () => Promise<T | null> | T | null): Promise<T> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
}

Deno.test("the scribe publishes a stamped report once, and answers each message once over restarts", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  await Deno.mkdir(`${dir}/authority`);
  await Deno.mkdir(`${dir}/p/egress`, { recursive: true });
  await makeRepository(`${dir}/repo`);
  await using homeserver = await Server.start();
  const operator: User = await homeserver.register("operator", true);
  const agent: User = await homeserver.register("scribe");
  const { body: { room_id: room } } = await operator.call("POST", "createRoom", {
    preset: "private_chat",
    invite: [agent.id],
    power_level_content_override: { events: { "m.bureau.report": 0 }, state_default: 100 },
  });
  await agent.call("POST", `join/${encodeURIComponent(room)}`, {});
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(API_KEY));
  const authority = await startAuthority({
    version: 1,
    listen: { hostname: "127.0.0.1", port: 0 },
    state_dir: `${dir}/authority`,
    host: "localhost",
    api_key_sha256: new Uint8Array(digest).toHex(),
  });
  const gate = await startGate({
    path: `${dir}/p/egress/egress.sock`,
    route: (target) => Number(target.split(":").at(-1)),
  });
  const runtime = await buildRuntime(dir);
  const bootstrap = bootstrapWith({
    principal: "scribe",
    room,
    matrix: { homeserver_url: homeserver.url, user_id: agent.id, access_token: agent.token },
    services: {
      timestamp: {
        upstream: authority.url,
        inject_headers: { "X-Api-Key": API_KEY },
        strip_headers: [],
        ca: await Deno.readTextFile(`${dir}/authority/ca.pem`),
      },
    },
    grants: [{
      actions: [
        "matrix/read",
        "matrix/send/m.room.message",
        "matrix/state/m.bureau.report",
        "http/timestamp",
      ],
    }],
  });
  let cell = await startCell(`${dir}/p`, runtime, bootstrap);
  const path = `rooms/${encodeURIComponent(room)}`;
  const ask = async (body: string, txn: string = crypto.randomUUID()) =>
    (await operator.call("PUT", `${path}/send/m.room.message/${txn}`, { msgtype: "m.text", body }))
      .body.event_id as string;
  const history = async () =>
    (await operator.call("GET", `${path}/messages?dir=b&limit=500`)).body.chunk as {
      sender: string;
      type: string;
      content: { body?: string; "m.relates_to"?: { "m.in_reply_to": { event_id: string } } };
    }[];
  const repliesTo = async (id: string) =>
    (await history()).filter((event) =>
      event.sender === agent.id &&
      event.content["m.relates_to"]?.["m.in_reply_to"].event_id === id
    ).map((event) => event.content.body!);
  const reply = (id: string) =>
    until(`a reply to ${id}`, async () => (await repliesTo(id))[0] ?? null);

  // Asked before it ever ran.
  const early = await ask("report README.md");
  let scribe = startScribe(dir);
  try {
    assert.match(await reply(early), /^README\.md: 8 bytes, 2 lines, 1 commits by Ada/);
    const { body: report } = await operator.call("GET", `${path}/state/m.bureau.report/`);
    await Deno.writeTextFile(`${dir}/report.json`, report.report);
    await Deno.writeFile(`${dir}/token.tsr`, Uint8Array.fromBase64(report.timestamp.token));
    const verified = await run(
      "openssl",
      ["ts", "-verify", "-data", "report.json", "-in", "token.tsr", "-CAfile", "authority/ca.pem"],
      dir,
    );
    assert.match(verified, /Verification: OK/);
    assert.equal(JSON.parse(report.report).files, 3);

    for (
      const hostile of [
        ...["../etc/passwd", "/etc/passwd", "-x", "--help", "$(id)", "`id`", "src/../README.md"],
        ...[
          "a\nb",
          "README.md\n",
          ":(top)README.md",
          "*",
          "HEAD",
          "",
          " ",
          "%s%n",
          "x".repeat(5000),
        ],
      ]
    ) {
      const answer = await reply(await ask(`report ${hostile}`));
      assert.match(answer, /no such path|^README\.md: 8|^Repository/, JSON.stringify(hostile));
      assert.ok(!/uid=|root:/.test(answer));
    }
    assert.match(await reply(await ask("report src/")), /^src\/: 1 files, 11 bytes/);
    assert.match(await reply(await ask("help")), /report PATH/);
    assert.match(await reply(await ask("dance!")), /do not know/);
    await scribe.type("report src/a.ts");
    await until(
      "the terminal's answer",
      () => /src\/a\.ts: 11 bytes/.test(scribe.screen()) || null,
    );

    // The proxy dies and comes back: nothing is lost.
    cell.kill("SIGKILL");
    await cell.status;
    const meanwhile = await ask("report src/a.ts");
    cell = await startCell(`${dir}/p`, runtime, bootstrap);
    await reply(meanwhile);

    // So does the scribe.
    await scribe.end("SIGKILL");
    const asleep = [await ask("report README.md"), await ask("help")];
    scribe = startScribe(dir);
    for (const id of asleep) await reply(id);
    await until("its own account", () => /published already/.test(scribe.screen()) || null);
    for (const id of [early, meanwhile, ...asleep]) {
      assert.equal((await repliesTo(id)).length, 1, id);
    }
    const all = await history();
    assert.equal(all.filter((event) => event.type === "m.bureau.report").length, 1);
    assert.equal(
      all.filter((event) =>
        event.sender === agent.id && /^Repository at/.test(event.content.body ?? "") &&
        event.content["m.relates_to"] === undefined
      ).length,
      1,
    );
    await scribe.type("quit");
    await until("a polite end", () => /stopping/.test(scribe.screen()) || null);
  } catch (thrown) {
    console.error(scribe.screen());
    throw thrown;
  } finally {
    await scribe.end("SIGKILL").catch(() => {});
    cell.kill("SIGKILL");
    await cell.status;
    await gate.stop();
    await authority.server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});
