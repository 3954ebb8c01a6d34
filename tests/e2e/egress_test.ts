// SPDX-License-Identifier: Apache-2.0

/**
 * Where an agent may connect to, as an operator says it: one command for a package registry, questions that
 * are answered by reaction and by command, refusals that tell both sides why.
 */
import assert from "node:assert/strict";
import { type Bureau, eventually, step, withBureau } from "./harness.ts";
import { matrix, messages, roomId } from "./matrix.ts";

const AGENT = "bureau/fleet/dev/agent/second";

interface View {
  readonly phase: string;
  readonly restarts: number;
  readonly since: number;
}

/** Asks the agent's own proxy for a tunnel, as `HTTPS_PROXY` leads programs to. @returns what it answers */
async function connect(bureau: Bureau, host: string): Promise<string> {
  return await talk(`${bureau.runDir}/p/${await hashOf()}/agent/forward.sock`, host);
}

/** First 16 hex characters of SHA-256 of the localpart (contracts.md). */
async function hashOf(): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(AGENT));
  return new Uint8Array(digest).toHex().slice(0, 16);
}

async function talk(path: string, host: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path });
  await connection.write(
    new TextEncoder().encode(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`),
  );
  let text = "";
  const buffer = new Uint8Array(4096);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
    if (text.includes("\r\n\r\n") && text.includes(" 200 ")) break;
  }
  return text;
}

async function pendingId(bureau: Bureau, host: string): Promise<string> {
  return await eventually(`a question about ${host}`, async () => {
    const { pending } = await bureau.json<{ pending: { id: string; host: string }[] }>(
      "egress",
      "list",
    );
    return pending.find((ask) => ask.host === host)?.id;
  }, 30_000);
}

Deno.test("an operator says where an agent may connect to, and is asked", async (t) => {
  await withBureau(async (bureau) => {
    const cli = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    await cli("agent", "create", "agent/second", "--template", "bureau/template:agent");
    const view = () => bureau.json<View>("agent", "show", "agent/second");
    await eventually("it runs", async () => (await view()).phase === "running", 30_000);
    const before = await view();

    await step(
      t,
      bureau,
      "what nothing names is refused with its reason, and operators are told",
      async () => {
        const answer = await connect(bureau, "evil.invalid");
        assert.match(answer, /^HTTP\/1\.1 403 /);
        assert.match(
          answer,
          /\r\nProxy-Status: bureau; error=http_request_denied; details="forbidden/,
        );
        assert.match(answer, /"code":"forbidden".*"hint"/s);
        const machine =
          (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
        const config = await roomId(bureau, machine.slice(1).split(":")[0]!);
        await eventually(
          "operators are told",
          async () =>
            (await messages(bureau, config)).some(({ content }) =>
              String(content["body"]).includes("agent/second was refused: evil.invalid:443")
            ),
        );
      },
    );

    await step(t, bureau, "one command opens a registry, without a restart", async () => {
      await cli("egress", "allow", "agent/second", "preset:npm");
      await eventually("the preset is in force", async () => {
        const policy = await bureau.json<{ allow: { entry: string; preset?: string }[] }>(
          "egress",
          "show",
          "agent/second",
        );
        return policy.allow.some(({ preset }) => preset === "npm");
      });
      const after = await view();
      assert.deepEqual([after.restarts, after.since], [before.restarts, before.since]);
    });

    await step(
      t,
      bureau,
      "a question is answered by command, and by a reaction in the config room",
      async () => {
        await cli("egress", "ask", "agent/second", "*:443");
        const first = eventually("it is asked about", async () => {
          const answer = await connect(bureau, "one.invalid");
          // Until the policy has come it is refused as before.
          return answer.includes('"code":"forbidden"') ? null : answer;
        }, 60_000);
        const id = await pendingId(bureau, "one.invalid");
        assert.match(await cli("status"), new RegExp(`${id} +agent/second +one\\.invalid:443`));
        await cli("egress", "approve", id);
        // Allowed: it got as far as a name that no DNS has.
        assert.match(await first, /egress-unresolved/);

        const second = connect(bureau, "two.invalid");
        const other = await pendingId(bureau, "two.invalid");
        const machine =
          (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
        const config = await roomId(bureau, machine.slice(1).split(":")[0]!);
        const message = await eventually(
          "its message",
          async () =>
            (await messages(bureau, config)).find(({ content }) =>
              (content["m.bureau.egress_ask"] as { id?: string } | undefined)?.id === other
            ),
        );
        await matrix(bureau, `rooms/${encodeURIComponent(config)}/send/m.reaction/e2e-1`, {
          method: "PUT",
          body: {
            "m.relates_to": { rel_type: "m.annotation", event_id: message.event_id, key: "❌" },
          },
        });
        assert.match(await second, /^HTTP\/1\.1 403 .*"code":"ask-denied"/s);
      },
    );

    await step(
      t,
      bureau,
      "for good is a signed line in the assignment, and agent create keeps it",
      async () => {
        const third = connect(bureau, "three.invalid");
        await pendingId(bureau, "three.invalid");
        await cli("egress", "approve", "three.invalid", "--always");
        assert.match(await third, /egress-unresolved/);
        await cli("agent", "create", "agent/second", "--template", "bureau/template:agent");
        const policy = await bureau.json<{ allow: { entry: string; source: string }[] }>(
          "egress",
          "show",
          "agent/second",
        );
        assert.ok(
          policy.allow.some(({ entry, source }) =>
            entry === "three.invalid:443" && source === "assignment"
          ),
          JSON.stringify(policy),
        );
        await cli("egress", "block", "agent/second", "three.invalid");
        await eventually(
          "it is blocked",
          async () => (await connect(bureau, "three.invalid")).includes('"code":"egress-denied"'),
        );
        assert.equal((await view()).restarts, before.restarts);
      },
    );
  });
});
