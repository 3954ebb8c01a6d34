// SPDX-License-Identifier: Apache-2.0

/** What the daemon carries, to whom, and what it tells; tests/slow/upgrade_asked_test.ts has the whole. */
import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { EventType } from "../../lib/schema/mod.ts";
import type { UpgradeReport } from "../../lib/upgrade/mod.ts";
import { RoomStates } from "../../messaging/mod.ts";
import { until } from "../bench_test.ts";
import { WantedRelease } from "./wanted.ts";

const MACHINE = "@f/fleet/a/machine/m:s";
const ADMIN = "@operator:s";
const TOKEN = "t".repeat(64);
const NOTHING: UpgradeReport = { seen: null, asked: null };

function request(token: string | null): Request {
  const headers: Record<string, string> = token === null
    ? {}
    : { authorization: `Bearer ${token}` };
  return new Request("http://x/v1/upgrade", { method: "POST", headers });
}

async function withDaemon(
  token: string | undefined,
  use: (it: {
    wanted: WantedRelease;
    again: () => WantedRelease;
    put: (issuedAt: number, sender?: string, more?: object) => void;
    said: [body: string, txn: string][];
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-up" });
  const stop = new AbortController();
  const states = new RoomStates();
  const said: [string, string][] = [];
  let id = 0;
  const apply = (type: string, key: string, sender: string, content: object) =>
    states.apply("!config", {
      ...{ type, state_key: key, sender, event_id: `$${id++}`, origin_server_ts: 0 },
      content: content as Record<string, unknown>,
    });
  apply("m.room.power_levels", "", ADMIN, { users: { [ADMIN]: 100 } });
  const make = () =>
    new WantedRelease({
      bootstrap: {
        user_id: MACHINE,
        state_dir: dir,
        ...(token === undefined ? {} : { supervisor_token: token }),
      },
      trust: { states, machine: MACHINE, admins: [ADMIN] },
      configRoom: () => "!config",
      say: (_, body, txn) => {
        said.push([body, txn]);
        return Promise.resolve();
      },
      clock: systemClock,
      log: createLogger("test", {}, () => {}),
      signal: stop.signal,
    });
  try {
    await use({
      wanted: make(),
      again: make,
      said,
      put: (issuedAt, sender = ADMIN, more = {}) =>
        apply(EventType.bureauVersion, MACHINE.slice(1), sender, {
          version: 1,
          machine: MACHINE,
          release: "0".repeat(64),
          issued_by: ADMIN,
          issued_at: issuedAt,
          signature: { key_id: "k", value: "v" },
          unknown: "kept",
          ...more,
        }),
    });
  } finally {
    stop.abort();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("an admin's request reaches the supervisor as it came, and nobody else", async () => {
  await withDaemon(TOKEN, async ({ wanted, put }) => {
    for (const token of [null, "", "x".repeat(64), `${TOKEN}x`]) {
      await assert.rejects(wanted.ask(request(token), NOTHING), { code: "unauthenticated" });
    }
    const first = wanted.ask(request(TOKEN), NOTHING);
    for (
      const [sender, more] of [
        ["@mallory:s", {}],
        [MACHINE, {}],
        [ADMIN, { machine: "@f/fleet/a/machine/other:s" }],
        [ADMIN, { release: "../x" }],
      ] as const
    ) {
      put(1, sender, more);
      wanted.look();
    }
    put(2);
    wanted.look();
    const answer = await first;
    assert.deepEqual([answer.wanted!["issued_at"], answer.wanted!["unknown"]], [2, "kept"]);
    // What was seen is not sent again.
    const next = wanted.ask(request(TOKEN), { seen: 2, asked: null });
    put(3);
    wanted.look();
    assert.equal((await next).wanted!["issued_at"], 3);
  });
});

Deno.test("each thing is told once, also by the next daemon; of another request nothing", async () => {
  await withDaemon(TOKEN, async ({ wanted, again, put, said }) => {
    put(2);
    wanted.look();
    const asked = (state: "running" | "failed", step: string | null, issued_at = 2) => ({
      seen: issued_at,
      asked: {
        issued_at,
        to: "0".repeat(64),
        state,
        step,
        message: state === "failed" ? "w\ny" : null,
      },
    });
    for (let n = 0; n < 2; n++) await wanted.ask(request(TOKEN), asked("running", "launcher"));
    await wanted.ask(request(TOKEN), asked("running", "daemon", 1));
    await until(() => said.length === 2, "two are told", 30_000);
    const next = again();
    next.look();
    await next.ask(request(TOKEN), asked("running", "launcher"));
    next.ask(request(TOKEN), asked("failed", null));
    await until(() => said.length === 3, "the end is told", 30_000);
    assert.deepEqual(said.map(([, txn]) => txn), [
      "bureau-upgrade-2-running:",
      "bureau-upgrade-2-running:launcher",
      "bureau-upgrade-2-failed:",
    ]);
    assert.match(said[2]![0], /^the upgrade to 0{12} failed: w y\. What ran before runs again/);
  });
});

Deno.test("where nobody replaces processes, that is said, once", async () => {
  await withDaemon(undefined, async ({ wanted, again, put, said }) => {
    put(2);
    wanted.look();
    wanted.look();
    await until(() => said.length === 1, "it is told", 30_000);
    assert.match(said[0]![0], /no upgrade .*are started by its units/);
    await assert.rejects(wanted.ask(request("undefined"), NOTHING), { code: "unauthenticated" });
    again().look();
    put(3);
    wanted.look();
    await until(() => said.length === 2, "the next is told", 30_000);
    assert.equal(said[1]![1], "bureau-upgrade-3-refused:");
  });
});
