// SPDX-License-Identifier: Apache-2.0

/** A service and its caller: sockets, tokens, grants, and everything that may happen to them meanwhile. */
import assert from "node:assert/strict";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { EventType } from "../../src/lib/schema/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { generateTokenKey, signToken, TOKEN_LIFE_MS } from "../../src/lib/token/mod.ts";
import { createMatrixClient } from "../../src/messaging/mod.ts";
import { matrix, roomId } from "./matrix.ts";
import { type Bureau, eventually, findProcess, ROOT, run, step, withBureau } from "./harness.ts";

const FLEET = "bureau/fleet/dev";

interface Answer {
  readonly status: number;
  readonly body: {
    readonly caller?: string;
    readonly said?: string;
    readonly by?: string;
    readonly machine?: string;
    readonly error?: { readonly code: string };
  };
}

/** What a caller's sandbox sees in /run/bureau/service, from outside. */
async function serviceDir(bureau: Bureau, account: string): Promise<string> {
  return `${bureau.runDir}/p/${await principalHash(`${FLEET}/${account}`)}/service`;
}

async function call(dir: string, token: string, path = "/v1/say"): Promise<Answer> {
  const done = await run("/usr/bin/curl", [
    ...["--silent", "--max-time", "60", "--unix-socket", `${dir}/echo.sock`],
    ...(path === "/v1/say" ? ["--data", "hello"] : []),
    ...(token === "" ? [] : ["--header", `Authorization: Bearer ${token}`]),
    ...["--write-out", "\n%{http_code}", `http://echo${path}`],
  ]);
  const [body, status] = done.stdout.split(/\n(?=\d+$)/);
  return { status: Number(status), body: body ? JSON.parse(body) : {} };
}

Deno.test("an agent calls a service under a grant, and nobody else does", async (t) => {
  if (await Deno.stat("/usr/bin/curl").catch(() => null) === null) {
    return void await skip(t, "no curl");
  }
  await withBureau(async (bureau) => {
    const cli = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const server = bureau.homeserver.serverName;
    const ECHO = `@${FLEET}/service/echo:${server}`;
    const CALLER = `@${FLEET}/agent/caller:${server}`;
    const phase = async (name: string) =>
      (await bureau.json<{ phase: string }>("agent", "show", name)).phase;
    const createService = async (name: string, ...more: string[]) => {
      await cli(
        ...["service", "create", name, "--template", "bureau/template:echo"],
        ...more,
      );
      await eventually(
        `${name} runs`,
        async () => await phase(`service/${name}`) === "running",
        60_000,
      );
    };
    for (const [name, file] of [["echo", "service"], ["caller", "caller"]]) {
      await cli("template", "push", `${ROOT}/agent/echo/${file}.yaml`, `bureau/template:${name}`);
    }
    await step(t, bureau, "an agent waits for a role that nobody fills", async () => {
      const told = await cli("agent", "create", "caller", "--template", "bureau/template:caller");
      assert.match(told, /waits for the role echo.*bureau service bind echo NAME/);
      await eventually("it waits", async () => await phase("caller") === "waiting", 60_000);
      assert.match(await cli("agent", "show", "caller"), /waiting for the role echo/);
    });
    await createService("echo", "--role", "echo");
    await eventually("it starts", async () => await phase("caller") === "running", 60_000);
    const dir = await serviceDir(bureau, "agent/caller");
    const token = () => Deno.readTextFile(`${dir}/token/echo.token`);
    /** As a caller does: the token as it is now, again when it was replaced meanwhile. */
    const say = async () => await call(dir, await token());
    const says = (status: number) =>
      eventually(`the answer is ${status}`, async () => {
        const answer = await say();
        return answer.status === status ? answer : null;
      }, 60_000);

    await step(t, bureau, "granted: its own program, and by hand", async () => {
      const { body } = await says(200);
      assert.deepEqual(body, { caller: CALLER, said: "hello", by: ECHO });
      await eventually("its program is answered", async () => {
        const { stdout } = await bureau.cli("observe", "agent/caller", "--dump");
        return stdout.includes('"said":"It is');
      }, 60_000);
    });

    await step(t, bureau, "nobody without a token, or with one that is none", async () => {
      assert.equal((await call(dir, "")).body.error?.code, "no-token");
      const [head, claims, signature] = (await token()).split(".") as [string, string, string];
      const none = new TextEncoder().encode('{"alg":"none","typ":"bureau-service+jwt"}')
        .toBase64({ alphabet: "base64url", omitPadding: true });
      for (const forged of [`${none}.${claims}.`, `${head}.${claims}.${signature.slice(4)}AAAA`]) {
        const { status, body } = await call(dir, forged);
        assert.equal(status, 401);
        assert.match(body.error!.code, /^token-(forged|malformed|unknown-key)$/);
      }
    });

    await step(t, bureau, "expired, and for another service: refused", async () => {
      const { keys } = JSON.parse(
        await Deno.readTextFile(`${bureau.stateDir}/daemon/token-keys.json`),
      );
      const session = JSON.parse(
        await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
      );
      const key = { publicKey: keys[0].public_key, privateJwk: keys[0].private_jwk };
      const request = {
        ...{
          machine: `@${session.machine}:${server}`,
          subject: CALLER,
          service: ECHO,
          role: "echo",
        },
        policy: { grants: [{ actions: ["service/echo/say"] }], denials: [] },
        // Later than anything that was revoked.
        now: Date.now(),
      };
      assert.equal((await call(dir, await signToken(key, request))).status, 200, "the control");
      const old = await signToken(key, { ...request, now: Date.now() - TOKEN_LIFE_MS - 60_000 });
      assert.equal((await call(dir, old)).body.error?.code, "token-expired");
      const other = await signToken(key, { ...request, service: CALLER });
      assert.equal((await call(dir, other)).body.error?.code, "token-audience");
    });

    await step(t, bureau, "a token of another machine of the fleet counts (W-10)", async () => {
      const session = JSON.parse(
        await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
      );
      const two = await bureau.stranger(`${FLEET}/machine/two`);
      const [operator, machine] = [session.access_token, two.token].map((accessToken) =>
        createMatrixClient({ homeserverUrl: bureau.homeserver.url, accessToken })
      );
      const system = (await operator!.resolveAlias(`#bureau/system:${server}`))!;
      const key = await generateTokenKey();
      const far = await signToken(key, {
        ...{
          machine: two.id,
          subject: `@${FLEET}/agent/far:${server}`,
          service: ECHO,
          role: "echo",
        },
        policy: { grants: [{ actions: ["service/**"] }], denials: [] },
        now: Date.now(),
      });
      assert.equal((await call(dir, far)).body.error?.code, "token-unknown-key");
      // As joining the fleet gives it.
      const levels = (await operator!.getState(system, "m.room.power_levels", ""))!;
      await operator!.putState(system, "m.room.power_levels", "", {
        ...levels,
        users: { ...levels["users"] as object, [two.id]: 50 },
      });
      await operator!.invite(system, two.id);
      await machine!.join(system);
      await machine!.putState(system, EventType.tokenSigningKey, two.id.slice(1), {
        version: 1,
        public_key: key.publicKey,
        machine: two.id,
      });
      const answer = await eventually("it is known", async () => {
        const answer = await call(dir, far);
        return answer.status === 200 ? answer : null;
      }, 60_000);
      assert.equal(answer.body.caller, `@${FLEET}/agent/far:${server}`);
    });

    await step(
      t,
      bureau,
      "an operator calls it in person, under their own rights (W-11)",
      async () => {
        const session = JSON.parse(
          await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
        );
        const before = Date.now();
        const mine = await bureau.json<{ token: string; service: string; expires_at: number }>(
          ...["service", "token", "echo"],
        );
        assert.equal(mine.service, ECHO);
        assert.ok(mine.expires_at >= before && mine.expires_at <= Date.now() + TOKEN_LIFE_MS);
        const { body } = await call(dir, mine.token);
        assert.equal(body.caller, session.user_id);
        assert.match(await cli("service", "token", "echo"), /^ey\S+\n$/);
        const none = await bureau.cli("service", "token", "nobody");
        assert.equal(none.code, 5, none.stderr);
        assert.match(none.stderr, /no service fills it/);
        // What they are denied, their token is.
        const config = await roomId(bureau, session.machine);
        const deny = (...denials: string[][]) =>
          matrix(
            bureau,
            `rooms/${
              [config, "state", EventType.authorization, session.user_id.slice(1)]
                .map(encodeURIComponent).join("/")
            }`,
            { method: "PUT", body: { denials: denials.map((actions) => ({ actions })) } },
          );
        await deny(["service/echo/say"]);
        await eventually("it is refused", async () => {
          const { stdout } = await bureau.cli("service", "token", "echo");
          return (await call(dir, stdout.trim())).body.error?.code === "not-granted";
        }, 60_000);
        await deny(["service/token"]);
        await eventually("none is made", async () => {
          const { stderr } = await bureau.cli("service", "token", "echo");
          return /you lack `service\/token`/.test(stderr);
        }, 60_000);
        await deny();
        const audit = await Deno.readTextFile(`${bureau.stateDir}/daemon/audit.jsonl`);
        const made = audit.split("\n").filter((line) => line.includes('"service/token"'));
        assert.ok(made.some((line) => line.includes('"allow"') && line.includes(session.user_id)));
        assert.ok(made.some((line) => line.includes('"deny"')));
        assert.ok(!audit.includes(mine.token));
      },
    );

    await step(t, bureau, "a denial reaches the token, and revokes the one before it", async () => {
      const before = await token();
      assert.equal((await call(dir, before)).status, 200);
      await cli("auth", "deny", "agent/caller", "service/echo/say");
      assert.equal((await says(403)).body.error?.code, "not-granted");
      assert.equal((await call(dir, before)).body.error?.code, "token-revoked");
    });

    await step(
      t,
      bureau,
      "another program fills the role: the caller reaches it, as it is",
      async () => {
        await cli("auth", "revoke", "agent/caller", "service/echo/say", "--kind", "denial");
        await says(200);
        const before = await token();
        await createService("second");
        await cli("service", "bind", "echo", "second");
        const second = `@${FLEET}/service/second:${server}`;
        await eventually("the new one answers", async () => {
          const { status, body } = await say();
          return status === 200 && body.by === second;
        }, 60_000);
        assert.match((await call(dir, before)).body.error!.code, /^token-(audience|revoked)$/);
        assert.equal(await phase("caller"), "running");
        const { restarts } = await bureau.json<{ restarts: number }>("agent", "show", "caller");
        assert.equal(restarts, 0);
      },
    );

    await step(t, bureau, "a service that starts anew is found again", async () => {
      const line = (text: string) =>
        text.startsWith("/opt/bureau/deno run") && text.includes("/opt/agent/echo.js");
      for (let killed = 0; killed < 2;) {
        const pid = await findProcess(bureau, line);
        if (pid === null) break;
        Deno.kill(pid, "SIGKILL");
        killed++;
      }
      await says(200);
    });

    await step(t, bureau, "a daemon that starts anew brings the sockets back", async () => {
      const pid = await findProcess(bureau, (text) => / daemon\.js|\/daemon\.js/.test(text));
      Deno.kill(pid!, "SIGKILL");
      await says(200);
    });

    await step(
      t,
      bureau,
      "what is shown is what there is, and a destroyed service is gone",
      async () => {
        const { services } = await bureau.json<
          { services: { principal: string; roles: string[] }[] }
        >("service", "list");
        assert.deepEqual(
          services.map(({ principal, roles }) => [principal, roles]).sort(),
          [[ECHO, []], [`@${FLEET}/service/second:${server}`, ["echo"]]],
        );
        assert.match(await cli("service", "show", "second"), /roles +echo/);
        await cli("service", "destroy", "second", "--yes");
        await eventually("it is told", async () => {
          const list = await cli("service", "list");
          return !list.includes("service/second");
        }, 60_000);
        await eventually(
          "its callers have no token",
          async () => await token().then(() => false, () => true),
          60_000,
        );
        const { machine } = JSON.parse(
          await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
        );
        await eventually("operators are told", async () => {
          const text = await cli("matrix", "messages", `#${machine}`);
          return text.includes("agent/caller needs the role echo") &&
            text.includes("gone: service/second");
        }, 60_000);
        await cli("service", "bind", "echo", "echo");
        await says(200);
      },
    );
  });
});
