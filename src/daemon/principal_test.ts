// SPDX-License-Identifier: Apache-2.0

/** News that comes in an order in which it did not happen. */
import assert from "node:assert/strict";
import { noEgress } from "../lib/template/mod.ts";
import { noPolicy } from "../lib/authorization/mod.ts";
import { systemClock } from "../lib/clock.ts";
import type { Client } from "../lib/http/mod.ts";
import { createLogger } from "../lib/log.ts";
import type { Localpart } from "../lib/ref/mod.ts";
import type { Assignment, Template } from "../lib/schema/mod.ts";
import { HandClock } from "../lib/testing/hand_clock.ts";
import type { launcherApi, Principal as LauncherPrincipal } from "../launcher/api.ts";
import type { Evaluation } from "./desired.ts";
import { localGates } from "./egress/gates.ts";
import { Spending } from "./spending.ts";
import { ManagedPrincipal } from "./principal.ts";
import type { PrincipalDeps } from "./principal_deps.ts";
import type { Report, StatusPublisher } from "./publisher.ts";

const NAME = "bureau/fleet/dev/agent/a" as Localpart;
const USER = `@${NAME}:bureau.local`;

const evaluation: Evaluation = {
  desired: {
    want: "running",
    issuedAt: 1,
    generation: "g",
    credentials: null,
    restartPolicy: "always",
    problem: null,
  },
  assignment: { desired: "running", issued_at: 1 } as unknown as Assignment,
  template: {} as Template,
  credentials: null,
  policy: noPolicy,
  egress: noEgress,
  rooms: new Set(),
  trigger: null,
};

const asks: PrincipalDeps["asks"] = {
  ask: () => Promise.reject(new Error("not needed")),
  extend: (_, rights) => rights,
  settle: () => {},
};

const cell = (phase: "running" | "exited", revision: number): LauncherPrincipal => ({
  principal: NAME,
  user_id: USER,
  hash: "h",
  phase,
  issued_at: 1,
  spec_digest: "s",
  credentials_digest: null,
  started_at: Date.now(),
  exit: phase === "exited" ? { code: 3, signal: null, at: Date.now(), output: [] } : null,
  proxy: { ready: true, restarts: 0 },
  message: null,
  revision,
});

// It writes late, and these tests end before that; what it reads is nobody else's.
const stateDir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
addEventListener("unload", () => Deno.removeSync(stateDir, { recursive: true }));

const spending = new Spending({
  stateDir,
  clock: systemClock,
  log: createLogger("test", {}, () => {}),
  onReached: () => {},
});

Deno.test("the news of an end that overtakes the answer to the start is not lost", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<LauncherPrincipal>();
  const backingOff = Promise.withResolvers<void>();
  const call = (route: string) => {
    assert.equal(route, "create");
    asked.resolve();
    return answer.promise;
  };
  const publish = ({ status }: Report) => {
    if (status.phase === "backing-off") backingOff.resolve();
  };
  const principal = new ManagedPrincipal(NAME, USER, {
    launcher: { call } as unknown as Client<typeof launcherApi>,
    publisher: { publish, published: () => null } as unknown as StatusPublisher,
    evaluate: () => Promise.resolve(evaluation),
    runDir: "/nonexistent",
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
    gates: localGates,
    onIdle: () => {},
    asks,
    spending,
    onRefused: () => {},
  });
  principal.setStatus(null, 1);
  principal.reevaluate();
  await asked.promise;
  principal.setStatus(cell("exited", 3), 3);
  answer.resolve(cell("running", 2));
  await backingOff.promise;
  assert.equal(principal.status?.phase, "exited");
  principal.close();
});

Deno.test("a launcher that was away counts anew, and is believed", () => {
  const principal = new ManagedPrincipal(NAME, USER, {
    launcher: {} as Client<typeof launcherApi>,
    publisher: { publish: () => {}, published: () => null } as unknown as StatusPublisher,
    evaluate: () => Promise.reject(new Error("not needed")),
    runDir: "/nonexistent",
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
    gates: localGates,
    onIdle: () => {},
    asks,
    spending,
    onRefused: () => {},
  });
  principal.setStatus(cell("exited", 9), 9);
  principal.setStatus(null, 8);
  assert.equal(principal.status?.phase, "exited");
  principal.forgetStatus();
  principal.setStatus(null, 1);
  assert.equal(principal.status, null);
  principal.close();
});

Deno.test("a day of a principal that can't be started, and of one that crashes, keeps one timer each", async () => {
  const problem = { code: "template-missing", message: "m" };
  const unready: Evaluation = { ...evaluation, desired: { ...evaluation.desired, problem } };
  const day = 24 * 60 * 60_000;
  for (const crashes of [false, true]) {
    const clock = new HandClock();
    let evaluations = 0;
    let creates = 0;
    let revision = 1;
    const exited = () => ({
      ...cell("exited", ++revision),
      started_at: clock.now(),
      exit: { code: 0, signal: null, at: clock.now() + 1, output: [] },
    });
    const call = (route: string) => {
      if (route === "create") creates++;
      return Promise.resolve(
        route === "create" ? exited() : { removed: true, revision: ++revision },
      );
    };
    const principal = new ManagedPrincipal(NAME, USER, {
      launcher: { call } as unknown as Client<typeof launcherApi>,
      publisher: { publish: () => {}, published: () => null } as unknown as StatusPublisher,
      evaluate: () => {
        evaluations++;
        return Promise.resolve(crashes ? evaluation : unready);
      },
      runDir: "/nonexistent",
      clock,
      log: createLogger("test", {}, () => {}),
      gates: localGates,
      onIdle: () => {},
      asks,
      spending,
      onRefused: () => {},
    });
    principal.setStatus(null, 1);
    principal.reevaluate();
    while (clock.sleepers === 0) await new Promise((resolve) => setTimeout(resolve));
    const end = clock.now() + day;
    while (clock.now() < end) {
      await clock.next();
      // An older one that was put aside may go a moment later.
      for (let n = 0; clock.sleepers > 1 && n < 100; n++) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      assert.equal(clock.sleepers, 1);
    }
    // Every half minute either way.
    const times = crashes ? creates : evaluations;
    assert.ok(times > 2_700 && times < 3_000, `${times} times in a day`);
    principal.close();
    await new Promise((resolve) => setTimeout(resolve));
    assert.equal(clock.sleepers, 0);
  }
});
