// SPDX-License-Identifier: Apache-2.0

/** Who may do what, as an operator says and asks it: a grant for an hour, in force and gone without a restart. */
import assert from "node:assert/strict";
import { commandLine, eventually, findProcess, processesOf, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
  readonly grant: {
    readonly source: string;
    readonly granted_by?: string;
    readonly expires_at?: string;
    readonly event: { readonly type: string } | null;
  } | null;
}

Deno.test("an operator grants for a while, revokes, and is told why", async (t) => {
  await withBureau(async (bureau) => {
    const cli = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    await cli("agent", "create", "agent/second", "--template", "bureau/template:agent");
    const view = () =>
      bureau.json<{ phase: string; restarts: number; since: number }>(
        "agent",
        "show",
        "agent/second",
      );
    await eventually("it runs", async () => (await view()).phase === "running", 30_000);
    const before = await view();
    const ACTION = "matrix/directory";
    const check = async (): Promise<Decision> =>
      JSON.parse((await bureau.cli("auth", "check", "agent/second", ACTION, "--json")).stdout);
    const call = async () =>
      (await bureau.cli("proxy", "call", "agent/second", "GET", "/v1/matrix/directory")).code === 0;

    await step(t, bureau, "what nothing grants is refused, and said so", async () => {
      const done = await bureau.cli("auth", "check", "agent/second", ACTION);
      assert.equal(done.code, 1);
      assert.match(done.stdout, /refused: no matching grant/);
      assert.equal(await call(), false);
    });

    await step(t, bureau, "a grant for an hour holds at once, without a restart", async () => {
      assert.match(await cli("auth", "grant", "agent/second", ACTION, "--for", "1h"), /ticket/);
      await eventually("its proxy lets it", call, 60_000);
      const { allowed, grant } = await check();
      assert.deepEqual([allowed, grant?.source, grant?.event?.type], [
        true,
        "principal",
        "m.bureau.assignment",
      ]);
      assert.match(grant!.granted_by!, /^@/);
      const left = Date.parse(grant!.expires_at!) - Date.now();
      assert.ok(left > 0 && left <= 3_600_000);
      assert.match(await cli("auth", "grants", "agent/second"), /grant +matrix\/directory/);
      const after = await view();
      assert.deepEqual([after.restarts, after.since], [before.restarts, before.since]);
    });

    await step(t, bureau, "revoked it is gone, and what was never granted can't be", async () => {
      await cli("auth", "revoke", "agent/second", ACTION);
      await eventually("its proxy refuses", async () => !await call(), 60_000);
      assert.equal((await check()).reason, "no matching grant");
      assert.equal((await bureau.cli("auth", "revoke", "agent/second", ACTION)).code, 5);
      const after = await view();
      assert.deepEqual([after.restarts, after.since], [before.restarts, before.since]);
    });

    await step(
      t,
      bureau,
      "a denial wins over the template, for its while or until revoked",
      async () => {
        const READ = "matrix/read";
        const rooms = async () =>
          (await bureau.cli("proxy", "call", "agent/second", "GET", "/v1/matrix/presence"))
            .code === 0;
        const allowed = async () =>
          (await bureau.cli("auth", "check", "agent/second", READ)).code === 0;
        assert.deepEqual([await rooms(), await allowed()], [true, true]);
        const told = await cli("auth", "deny", "agent/second", READ, "--for", "1h");
        const [, ticket] = /denied to bureau\/.*: matrix\/read until .* \(ticket (\w+)\)/.exec(
          told,
        )!;
        await eventually("its proxy refuses", async () => !await rooms(), 60_000);
        const why = await bureau.cli("auth", "check", "agent/second", READ);
        assert.match(why.stdout, /refused: explicit denial/);
        assert.match(
          why.stdout,
          new RegExp(`denial: matrix/read\n +from assignment .*until 2.*${ticket}`),
        );
        // Made again as it is, it keeps what was decided about it.
        await cli("agent", "create", "agent/second", "--template", "bureau/template:agent");
        assert.match(await cli("auth", "grants", "agent/second"), /deny +matrix\/read +assignment/);
        await cli("auth", "revoke", "agent/second", "--ticket", ticket!);
        await eventually("its proxy lets it again", rooms, 60_000);
        const after = await view();
        assert.deepEqual([after.restarts, after.since], [before.restarts, before.since]);
      },
    );

    await step(t, bureau, "one agent may do to another what both sides say", async () => {
      const reason = async (): Promise<string> =>
        JSON.parse(
          (await bureau.cli("auth", "check", "agent/scribe", "observe", "agent/second", "--json"))
            .stdout,
        ).reason;
      const becomes = (wanted: string) =>
        eventually(wanted, async () => await reason() === wanted, 60_000);
      await becomes("no matching grant");
      await cli("auth", "grant", "agent/scribe", "observe", "--target", "bureau/**:*");
      await becomes("no matching allowance on target");
      const by = ["--by", "agent/scribe"];
      await cli("auth", "allow", "agent/second", "observe", ...by, "--for", "1h");
      await becomes("allowed");
      assert.match(
        await cli("auth", "allowances", "agent/second"),
        /allow +observe by bureau\/fleet/,
      );
      await cli("auth", "deny", "agent/second", "observe/**", ...by);
      await becomes("explicit allowance denial on target");
      await cli("auth", "revoke", "agent/second", "observe/**", "--kind", "allowance-denial");
      await becomes("allowed");
      assert.equal((await bureau.cli("auth", "allow", "agent/second", "observe")).code, 2);
    });

    await step(t, bureau, "the operator's own rights are explained too", async () => {
      const answer = await cli("auth", "check", "me", "interrupt/terminate", "agent/second");
      assert.match(answer, /\(operator\).*\nallowed\n +grant: \*\* on .*\n +from operator/);
      assert.match(await cli("auth", "allowances", "agent/scribe"), /nobody but operators/);
    });
  });
});

Deno.test("a right that was taken stays taken while the daemon is away, whatever dies", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    const made = await bureau.cli(
      ...["agent", "create", "agent/second", "--template", "bureau/template:agent"],
    );
    assert.equal(made.code, 0, made.stderr);
    /** What its proxy of the moment goes by; null: it does not answer. */
    const isDenied = async () => {
      const { code, stdout } = await bureau.cli(
        ...["proxy", "call", "agent/second", "GET", "/v1/grants"],
      );
      if (code !== 0) return null;
      const { denials } = JSON.parse(stdout) as { denials: { actions: string[] }[] };
      return denials.some(({ actions }) => actions.includes("matrix/read"));
    };
    await eventually("it is not denied", async () => await isDenied() === false, 120_000);
    const session = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
    );
    const config = await roomId(bureau, session.machine);
    const key = `bureau/fleet/dev/agent/second:${session.server_name}`;
    // By the room: no assignment says it, so the launcher hears of it from the daemon alone.
    await matrix(
      bureau,
      `rooms/${[config, "state", "m.bureau.authorization", key].map(encodeURIComponent).join("/")}`,
      { method: "PUT", body: { denials: [{ actions: ["matrix/read"] }] } },
    );
    await eventually("it is denied", async () => await isDenied() === true, 120_000);
    const daemon = (await findProcess(bureau, (line) => line.includes("/daemon.js")))!;
    Deno.kill(daemon, "SIGSTOP");
    try {
      const proxies = async () => {
        const lines = await Promise.all(
          (await processesOf(bureau)).map(async (pid) => [pid, await commandLine(pid)] as const),
        );
        return lines.filter(([, line]) => /^\/opt\/bureau\/deno .*proxy\.js/.test(line))
          .map(([pid]) => pid);
      };
      /** Every answer from the first on: none may let it. */
      const refused = async () => {
        for (let answers = 0; answers < 3;) {
          const denied = await isDenied();
          assert.notEqual(denied, false, "the right is back");
          if (denied) answers++;
        }
      };
      const madeAgain = (before: readonly number[]) =>
        eventually(
          "a new proxy",
          async () => (await proxies()).some((pid) => !before.includes(pid)),
          120_000,
        );
      await step(t, bureau, "its proxy", async () => {
        const before = await proxies();
        Deno.kill(before[0]!, "SIGKILL");
        await madeAgain(before);
        await refused();
      });
      await step(t, bureau, "the launcher", async () => {
        const before = await proxies();
        const launcher = await findProcess(bureau, (line) => line.includes("/launcher.js"));
        Deno.kill(launcher!, "SIGKILL");
        await madeAgain(before);
        await refused();
      });
    } finally {
      Deno.kill(daemon, "SIGCONT");
    }
  });
});
