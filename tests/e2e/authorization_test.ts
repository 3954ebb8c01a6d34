// SPDX-License-Identifier: Apache-2.0

/** Who may do what, as an operator says and asks it: a grant for an hour, in force and gone without a restart. */
import assert from "node:assert/strict";
import { eventually, step, withBureau } from "./harness.ts";

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

    await step(t, bureau, "the operator's own rights are explained too", async () => {
      const answer = await cli("auth", "check", "me", "interrupt/terminate", "agent/second");
      assert.match(answer, /\(operator\).*\nallowed\n +grant: \*\* on .*\n +from operator/);
      assert.match(await cli("auth", "allowances", "agent/second"), /nobody but operators/);
    });
  });
});
