// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  afterConflict,
  afterCreated,
  afterDestroyed,
  afterRefused,
  type Cell,
  type Desired,
  isBroken,
  isLive,
  type Memory,
  noMemory,
  reconcile,
  remembered,
  restartDelayMs,
} from "./reconcile.ts";
import { summarise } from "./view.ts";

const running: Desired = {
  want: "running",
  issuedAt: 10,
  generation: "g10",
  credentials: ["c"],
  restartPolicy: "always",
  problem: null,
};
const cell: Cell = {
  phase: "running",
  issuedAt: 10,
  credentialsDigest: "c",
  startedAt: 1_000,
  exit: null,
  message: null,
};
const known = (of: Cell | null) => ({ known: true, cell: of });
const exited = (code: number, at: number, from: Cell = cell): Cell => ({
  ...from,
  phase: "exited",
  exit: { code, at },
});
const act = (d: Desired, c: Cell | null, m: Memory = noMemory, now = 2_000) =>
  reconcile(d, known(c), m, now).action?.type ?? null;

Deno.test("reconcile() starts what is wanted and not there, and leaves what is right", () => {
  assert.equal(act(running, null), "create");
  assert.equal(act(running, cell), null);
  assert.equal(act({ ...running, want: "stopped" }, cell), "destroy");
  assert.equal(act({ ...running, want: "absent" }, exited(0, 1_500)), "destroy");
  assert.equal(act({ ...running, want: "absent" }, null), null);
});

Deno.test("reconcile() does nothing when the launcher is away or the events are unusable", () => {
  assert.equal(reconcile(running, { known: false, cell: null }, noMemory, 0).action, null);
  assert.equal(act({ ...running, want: "hold" }, cell), null);
  const problem = { code: "template-missing", message: "m" };
  assert.equal(act({ ...running, problem }, cell), null);
  assert.equal(act({ ...running, problem }, null), null);
});

Deno.test("reconcile() asks for other credentials in the cell that runs, and replaces it where that can't be", () => {
  const other = { ...running, generation: "g2", credentials: ["d"] };
  const asked = reconcile(other, known(cell), noMemory, 2_000);
  assert.equal(asked.action?.type, "create");
  assert.equal(act(other, { ...cell, credentialsDigest: "d" }, afterCreated(asked.memory)), null);
  assert.equal(act(other, cell, afterConflict(asked.memory)), "destroy");
  // Taken, and not so: never asked for ever.
  assert.equal(act(other, cell, afterCreated(asked.memory)), "destroy");
  assert.equal(act(other, { ...cell, phase: "starting" }), "destroy");
  // None any more: nothing may go on with the old ones.
  assert.equal(act({ ...running, generation: "g2", credentials: null }, cell), "destroy");
});

Deno.test("reconcile() asks the launcher about a newer assignment before it ends anything", () => {
  const newer = { ...running, issuedAt: 11, generation: "g11" };
  const asked = reconcile(newer, known(cell), noMemory, 2_000);
  assert.equal(asked.action?.type, "create");
  assert.equal(act(newer, cell, afterCreated(asked.memory)), null);
  assert.equal(act(newer, cell, afterConflict(asked.memory)), "destroy");
});

Deno.test("reconcile() backs off from 1 s to 30 s, and forgets after a minute of running", () => {
  let memory = noMemory;
  const waits: number[] = [];
  let now = 1_000_000;
  for (let round = 0; round < 7; round++) {
    const started = { ...cell, startedAt: now };
    const plan = reconcile(running, known(exited(1, now + 10, started)), memory, now + 10);
    assert.equal(plan.action?.type, "wake");
    waits.push(plan.memory.retryAt! - (now + 10));
    now = plan.memory.retryAt!;
    const due = reconcile(running, known(exited(1, now, started)), plan.memory, now);
    assert.equal(due.action?.type, "destroy");
    memory = afterDestroyed(due.memory);
    assert.equal(reconcile(running, known(null), memory, now).action?.type, "create");
    memory = afterCreated(memory);
    now += 1;
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  assert.equal(memory.restarts, 7);
  const alive = { ...cell, startedAt: now };
  assert.deepEqual(reconcile(running, known(alive), memory, now).action, {
    type: "wake",
    at: now + 60_000,
  });
  assert.equal(reconcile(running, known(alive), memory, now + 60_000).memory.failures, 0);
});

Deno.test("reconcile() leaves alone what crashes ten times in ten minutes, until it is edited", () => {
  const crash = (start: number, before: Memory) =>
    reconcile(
      running,
      known(exited(1, start + 5, { ...cell, startedAt: start })),
      before,
      start + 5,
    );
  let memory = noMemory;
  for (let n = 0; n < 9; n++) memory = crash(1_000_000 + n * 40_000, memory).memory;
  assert.equal(crash(1_000_000 + 9 * 400_000, memory).action?.type, "wake");
  const tenth = crash(1_000_000 + 9 * 40_000, memory);
  assert.equal(tenth.action, null);
  assert.ok(isBroken(running, tenth.memory));
  assert.equal(act(running, null, tenth.memory, 1e9), null);
  // Events that can't be used for a while are no edit.
  const away = { ...running, generation: "unready", problem: { code: "x", message: "m" } };
  const back = reconcile(away, known(null), tenth.memory, 1e9).memory;
  assert.equal(act(running, null, back, 1e9), null);
  assert.equal(act({ ...running, issuedAt: 11, generation: "g11" }, null, back, 1e9), "create");
  // The next life of the daemon knows it from what was published.
  const published = { phase: "failed", reason: "crash-loop", issued_at: 10 };
  assert.equal(act(running, null, remembered(noMemory, published), 1e9), null);
  assert.equal(act({ ...running, issuedAt: 11 }, null, remembered(noMemory, published)), "create");
  const { phase, message, hint } = summarise(running, known(null), tenth.memory, 1e9);
  assert.equal(phase, "failed");
  assert.match(message!, /crashed 10 times in 10 minutes/);
  assert.match(hint!, /agent create/);
});

Deno.test("reconcile() starts what ends well as often as its policy says", () => {
  let memory = noMemory;
  for (let n = 0; n < 30; n++) {
    const startedAt = 1_000_000 + n * 31_000;
    const plan = reconcile(
      running,
      known(exited(0, startedAt + 5, { ...cell, startedAt })),
      memory,
      startedAt + 5,
    );
    assert.equal(plan.action?.type, "wake");
    memory = plan.memory;
  }
});

Deno.test("reconcile() forgets back-off when the assignment changes and only then", () => {
  const refused = afterRefused(
    reconcile(running, known(null), noMemory, 0).memory,
    { code: "x", message: "m" },
    0,
  );
  assert.equal(act(running, null, refused, 500), "wake");
  assert.equal(act({ ...running, issuedAt: 11, generation: "g11" }, null, refused, 500), "create");
  const held = reconcile({ ...running, want: "hold", generation: "h" }, known(null), refused, 500);
  assert.equal(act(running, null, held.memory, 500), "wake");
});

Deno.test("reconcile() never runs a completed one-shot again when other things happen", () => {
  for (const [restartPolicy, code] of [["never", 3], ["never", 0], ["on-failure", 0]] as const) {
    const once: Desired = { ...running, restartPolicy };
    const done = reconcile(once, known(exited(code, 1_500)), noMemory, 2_000);
    assert.equal(done.action, null);
    // The launcher forgot it, credentials were renewed, much later.
    assert.equal(act(once, null, done.memory, 1e9), null);
    const renewed = { ...once, credentials: ["d"], generation: "g10d" };
    assert.equal(act(renewed, exited(code, 1_500), done.memory, 1e9), null);
    assert.equal(act(renewed, exited(code, 1_500), noMemory, 1e9), null);
    // A new assignment is another run.
    const next = { ...once, issuedAt: 11, generation: "g11" };
    const clear = reconcile(next, known(exited(code, 1_500)), done.memory, 1e9);
    assert.equal(clear.action?.type, "destroy");
    assert.equal(act(next, null, afterDestroyed(clear.memory), 1e9), "create");
  }
  assert.equal(act({ ...running, restartPolicy: "on-failure" }, exited(1, 1_500)), "wake");
});

/** A launcher and a daemon in miniature, driven by arbitrary events. */
class World {
  now = 1_000_000;
  cell: Cell | null = null;
  memory: Memory = noMemory;
  desired: Desired = running;
  connected = true;
  /** Whether other credentials can reach a cell that runs. */
  renewable = true;
  starts = 0;
  startsByAssignment = new Map<number, number>();

  step(): boolean {
    const before = JSON.stringify([this.memory, this.cell]);
    const plan = reconcile(
      this.desired,
      { known: this.connected, cell: this.connected ? this.cell : null },
      this.memory,
      this.now,
    );
    this.memory = plan.memory;
    const { action } = plan;
    if (action === null || action.type === "wake") return false;
    if (action.type === "destroy") {
      this.cell = null;
      this.memory = afterDestroyed(this.memory);
      return true;
    }
    const { issuedAt, credentials } = this.desired;
    if (this.cell !== null && isLive(this.cell)) {
      // As the launcher does: another spec is refused while one runs, other credentials reach it.
      if (this.cell.issuedAt === issuedAt && this.renewable) {
        this.cell = { ...this.cell, credentialsDigest: credentials![0]! };
        this.memory = afterCreated(this.memory);
      } else this.memory = afterConflict(this.memory);
    } else {
      assert.equal(this.cell, null, "a start while something is there");
      this.starts++;
      this.startsByAssignment.set(issuedAt, (this.startsByAssignment.get(issuedAt) ?? 0) + 1);
      this.cell = {
        ...cell,
        issuedAt,
        credentialsDigest: credentials?.[0] ?? null,
        startedAt: this.now++,
      };
      this.memory = afterCreated(this.memory);
    }
    assert.notEqual(JSON.stringify([this.memory, this.cell]), before, "an action without effect");
    return true;
  }

  settle(): void {
    for (let n = 0; this.step(); n++) assert.ok(n < 10, "it does not settle");
  }
}

type Event =
  | { kind: "exit"; code: number }
  | { kind: "assign"; want: Desired["want"] }
  | { kind: "rotate" }
  | { kind: "renewable"; on: boolean }
  | { kind: "problem"; on: boolean }
  | { kind: "daemon-restart" }
  | { kind: "launcher"; on: boolean }
  | { kind: "time"; ms: number }
  | { kind: "poke" };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("exit" as const), code: fc.constantFrom(0, 1, 137) }),
  fc.record({
    kind: fc.constant("assign" as const),
    want: fc.constantFrom("running" as const, "stopped" as const, "absent" as const),
  }),
  fc.record({ kind: fc.constant("rotate" as const) }),
  fc.record({ kind: fc.constant("renewable" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("problem" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("daemon-restart" as const) }),
  fc.record({ kind: fc.constant("launcher" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(10, 1_000, 40_000, 90_000) }),
  fc.record({ kind: fc.constant("poke" as const) }),
);

function happen(world: World, what: Event): void {
  const { desired } = world;
  switch (what.kind) {
    case "exit":
      if (world.cell !== null && isLive(world.cell)) {
        world.cell = exited(what.code, world.now, world.cell);
      }
      break;
    case "assign": {
      const issuedAt = desired.issuedAt + 1;
      world.desired = { ...desired, want: what.want, issuedAt, generation: `g${issuedAt}` };
      break;
    }
    case "rotate": {
      const next = `${desired.credentials![0]}'`;
      world.desired = { ...desired, credentials: [next], generation: `${desired.issuedAt}${next}` };
      break;
    }
    case "renewable":
      world.renewable = what.on;
      break;
    case "problem":
      world.desired = { ...desired, problem: what.on ? { code: "x", message: "m" } : null };
      break;
    case "daemon-restart":
      world.memory = noMemory;
      break;
    case "launcher":
      world.connected = what.on;
      break;
    case "time":
      world.now += what.ms;
      break;
    case "poke":
      break;
  }
}

const policies = fc.constantFrom("always" as const, "on-failure" as const, "never" as const);

Deno.test("reconcile() converges whatever happens in whatever order", () => {
  fc.assert(
    fc.property(policies, fc.array(event, { maxLength: 40 }), (restartPolicy, events) => {
      const world = new World();
      world.desired = { ...running, restartPolicy };
      for (const what of events) {
        happen(world, what);
        world.settle();
      }
      world.connected = true;
      world.desired = { ...world.desired, problem: null };
      world.settle();
      world.now += 60_000;
      world.settle();
      const { want, issuedAt, credentials } = world.desired;
      if (want !== "running") return assert.equal(world.cell, null);
      if (world.cell !== null && isLive(world.cell)) {
        assert.equal(world.cell.issuedAt, issuedAt);
        assert.equal(world.cell.credentialsDigest, credentials![0]);
      } else {
        assert.notEqual(restartPolicy, "always", "it should run");
        assert.equal(world.memory.completedIssuedAt, issuedAt);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("reconcile() runs a one-shot once an assignment, whatever else happens", () => {
  // Credentials that can't reach a cell that runs replace it, so they may start it a second time.
  const others = event.filter((what) => what.kind !== "renewable");
  fc.assert(
    fc.property(fc.array(others, { maxLength: 40 }), (events) => {
      const world = new World();
      world.desired = { ...running, restartPolicy: "never" };
      world.settle();
      for (const what of events) {
        happen(world, what);
        world.settle();
      }
      for (const [issuedAt, starts] of world.startsByAssignment) {
        assert.ok(starts <= 1, `assignment ${issuedAt} was started ${starts} times`);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("restartDelayMs() is never below 1 s or above 30 s", () => {
  fc.assert(fc.property(fc.nat(10_000), (n) => {
    const delay = restartDelayMs(n);
    assert.ok(delay >= 1_000 && delay <= 30_000);
  }));
});
