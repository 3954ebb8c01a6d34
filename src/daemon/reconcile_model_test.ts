// SPDX-License-Identifier: Apache-2.0

/**
 * Tests: one principal's whole world in miniature. A launcher that keeps its journal, a daemon that may die at any
 * moment, a line between them that loses, delays and doubles, an operator who edits meanwhile. What must hold is
 * looked at in every step; see `Broken`. What happens, and in which order: reconcile_stories_test.ts.
 */
import {
  afterConflict,
  afterCreated,
  afterDestroyed,
  afterRefused,
  type Cell,
  CRASH_LOOP_ENDS,
  type Desired,
  GRACE_MS,
  isBroken,
  type Memory,
  noMemory,
  reconcile,
} from "./reconcile.ts";
import { summarise } from "./view.ts";

export class Broken extends Error {}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Broken(what);
}

interface Truth {
  want: "running" | "stopped" | "absent";
  issuedAt: number;
  credentials: number;
  spec: number;
  policy: Desired["restartPolicy"];
  /** The events can't be used at the moment: its sender lost the power, its template's room is away. */
  trouble: "none" | "hold" | "unready" | "unbound";
}

interface Request {
  readonly kind: "create" | "destroy";
  readonly life: number;
  readonly desired: Desired;
  readonly spec: number;
  /** Of the cell that is to end. */
  readonly startedAt: number | null;
}

interface Entry {
  issuedAt: number;
  credentials: string;
  readonly spec: number;
  readonly startedAt: number;
  exit: { code: number; at: number } | null;
  /** False: the launcher died before there was a sandbox. That is an end too, but nothing ran. */
  spawned: boolean;
}

interface News {
  readonly cell: Cell | null;
  readonly revision: number;
}

interface Published {
  readonly issuedAt: number;
  readonly reason: "crash-loop" | null;
  readonly completed: number | null;
}

type Answer = News & {
  readonly outcome: "created" | "found" | "conflict" | "refused" | "destroyed" | "another";
};

/** How the parts behave. Others than the sound ones are for showing that the model finds what is wrong. */
export interface Habits {
  readonly core: typeof reconcile;
  /** A create that finds a cell which ended makes a new one of it, seen or not. */
  readonly startsOverEnds: boolean;
  /** Each launcher numbers its news from nought. */
  readonly countsAnew: boolean;
  /** A running cell that is what a newer assignment asks for stays under the older one. */
  readonly keepsOldDate: boolean;
  /** The sandbox crashes whenever it can, and little else happens. */
  readonly looping: boolean;
}

const sound: Habits = {
  core: reconcile,
  startsOverEnds: false,
  countsAnew: false,
  keepsOldDate: false,
  looping: false,
};

export class World {
  readonly habits: Habits;
  now = 1_000_000;
  readonly truth: Truth;
  // What outlives both processes.
  entry: Entry | null = null;
  newest = 0;
  sandbox: Entry | null = null;
  published: Published | null = null;
  // The launcher.
  launcherUp = true;
  launcherLife = 1;
  cell: Cell | null = null;
  revision = 0;
  queue: Request[] = [];
  /** What the launcher is in the middle of. */
  stage: { request: Request; at: "begun" | "journaled" | "spawned" | "ending" | "ended" } | null =
    null;
  failNext = false;
  // The line.
  news: News[] = [];
  snapshot: News | null = null;
  // The daemon.
  life = 1;
  daemonUp = true;
  connected = false;
  /** All that there is is asked for first. */
  isFresh = false;
  /** Which life of the launcher the line leads to. */
  line = 0;
  memory: Memory = noMemory;
  known = false;
  seen = 0;
  status: Cell | null = null;
  desired: Desired | null = null;
  spec = 0;
  stale = true;
  dirty = true;
  wakeAt: number | null = null;
  asked: { request: Request; answer: Answer | null } | null = null;
  toPublish: Published | null = null;
  // What is remembered to judge by.
  starts: { at: number; generation: string; life: number }[] = [];
  /** How many sandboxes were made. */
  spawns = 0;
  /** Assignment to the credentials with which it ran to its end. */
  readonly completed = new Map<number, string>();
  /** Assignments of which the daemon may rightly hold that they ran, or that they did not. */
  readonly unjudged = new Set<number>();

  constructor(policy: Desired["restartPolicy"], habits: Partial<Habits> = {}) {
    this.habits = { ...sound, ...habits };
    this.truth = {
      want: "running",
      issuedAt: 1,
      credentials: 1,
      spec: 1,
      policy,
      trouble: "none",
    };
  }

  // ---- the operator's events, as `evaluate` reads them

  evaluated(): Desired {
    const { want, issuedAt, credentials, spec, policy, trouble } = this.truth;
    const problem = { code: trouble, message: trouble };
    const base = { issuedAt, credentials: null, restartPolicy: policy, problem: null };
    if (trouble === "hold") {
      return { ...base, want: "hold", generation: "hold", issuedAt: 0, problem };
    }
    if (want !== "running") return { ...base, want, generation: `${want}:${issuedAt}` };
    if (trouble === "unready") {
      return { ...base, want, generation: `unready:${issuedAt}`, problem };
    }
    const generation = `${issuedAt}:${spec}:${credentials}`;
    const held = trouble === "unbound" ? { held: problem } : {};
    return { ...base, want, generation, credentials: [`c${credentials}`], ...held };
  }

  // ---- the launcher

  #tell(cell: Cell | null): void {
    this.cell = cell;
    this.revision++;
    if (this.connected && this.line === this.launcherLife) {
      this.news.push({ cell, revision: this.revision });
    }
  }

  #cellOf(entry: Entry, phase: Cell["phase"]): Cell {
    return {
      phase,
      issuedAt: entry.issuedAt,
      credentialsDigest: entry.credentials,
      startedAt: entry.startedAt,
      exit: entry.exit,
      message: null,
    };
  }

  #answer(request: Request, outcome: Answer["outcome"]): void {
    this.stage = null;
    // Whoever asked may be dead.
    if (!this.daemonUp || request.life !== this.life || this.asked?.request !== request) return;
    this.asked.answer = { cell: this.cell, revision: this.revision, outcome };
  }

  launcherStep(): void {
    if (this.stage === null) {
      const request = this.queue.shift()!;
      this.stage = { request, at: "begun" };
      if (request.kind === "destroy") {
        if (this.entry === null) return this.#answer(request, "destroyed");
        if (this.entry.startedAt !== request.startedAt) {
          return this.#answer(request, "another");
        }
        this.#tell(this.#cellOf(this.entry, "stopping"));
        this.stage.at = "ending";
        return;
      }
      if (request.desired.issuedAt < this.newest) return this.#answer(request, "refused");
      if (this.entry !== null) {
        const credentials = request.desired.credentials![0]!;
        // Some credentials only the proxy holds: it takes them while the sandbox goes on.
        const proxyOnly = Number(credentials.slice(1)) % 2 === 0;
        const renewed = this.entry.credentials !== credentials;
        const same = this.entry.spec === request.spec && (!renewed || proxyOnly);
        if (this.cell!.phase === "running") {
          if (!same) return this.#answer(request, "conflict");
          const newer = request.desired.issuedAt > this.entry.issuedAt && !this.habits.keepsOldDate;
          if (newer) this.newest = this.entry.issuedAt = request.desired.issuedAt;
          this.entry.credentials = credentials;
          if (newer || renewed) this.#tell(this.#cellOf(this.entry, "running"));
          return this.#answer(request, "found");
        }
        // It ended by itself and nobody who asks has seen it: said, not thrown away.
        must(this.entry.exit !== null, "a start in the middle of another");
        if (!this.habits.startsOverEnds) return this.#answer(request, "found");
      }
      return;
    }
    const { request } = this.stage;
    switch (this.stage.at) {
      case "begun": {
        must(request.desired.issuedAt >= this.newest, "an older assignment than one accepted");
        this.newest = request.desired.issuedAt;
        this.entry = {
          issuedAt: request.desired.issuedAt,
          credentials: request.desired.credentials![0]!,
          spec: request.spec,
          // Two starts within one millisecond are no machine's.
          startedAt: ++this.now,
          exit: null,
          spawned: false,
        };
        this.#tell(this.#cellOf(this.entry, "starting"));
        this.stage.at = "journaled";
        return;
      }
      case "journaled":
        if (this.failNext) {
          this.failNext = false;
          this.entry = null;
          this.#tell(null);
          return this.#answer(request, "refused");
        }
        this.#spawn(request);
        this.stage.at = "spawned";
        return;
      case "spawned":
        if (this.entry!.exit === null) this.#tell(this.#cellOf(this.entry!, "running"));
        return this.#answer(request, "created");
      case "ending":
        this.sandbox = null;
        this.stage.at = "ended";
        return;
      case "ended":
        this.entry = null;
        this.#tell(null);
        return this.#answer(request, "destroyed");
    }
  }

  #spawn({ desired, life }: Request): void {
    const entry = this.entry!;
    must(this.sandbox === null, "two sandboxes of one principal");
    // New credentials end what runs with the old, and whether it was just about to end by itself nobody knows.
    const again = this.completed.get(entry.issuedAt) === entry.credentials;
    must(!again, "a completed one-shot runs again");
    const { generation } = desired;
    // Within one life of the daemon, and with nothing edited, starts keep apart and come to an end.
    const alike = this.starts.filter((one) => one.generation === generation && one.life === life);
    const last = alike.at(-1);
    must(
      last === undefined || this.now - last.at >= 1_000 || desired.credentials === null,
      "a start before its time",
    );
    const recent = alike.filter(({ at }) => this.now - at < 60_000);
    must(recent.length <= 6, "more starts in a minute than back-off allows");
    must(
      alike.filter(({ at }) => this.now - at < 5 * 60_000).length <= CRASH_LOOP_ENDS,
      "a crash loop goes on",
    );
    this.starts.push({ at: this.now, generation, life });
    this.spawns++;
    this.sandbox = entry;
    entry.spawned = true;
  }

  /** The sandbox's own end. */
  exit(code: number): void {
    const entry = this.sandbox!;
    this.sandbox = null;
    const exit = { code, at: this.now };
    if (this.launcherUp) this.#ended(entry, exit);
  }

  #ended(entry: Entry, exit: { code: number; at: number }): void {
    entry.exit = exit;
    const { policy } = this.truth;
    // Policies are constant in a world, and only an end of its own completes.
    if (policy === "never" || (policy === "on-failure" && exit.code === 0)) {
      if (entry.spawned) this.completed.set(entry.issuedAt, entry.credentials);
      else this.unjudged.add(entry.issuedAt);
    }
    // In the middle of its start or its end it is told when that is done.
    if (this.stage?.at === "ending" || this.stage?.at === "ended") return;
    this.#tell(this.#cellOf(entry, "exited"));
  }

  launcherCrash(): void {
    this.launcherUp = false;
    this.queue = [];
    this.stage = null;
    this.cell = null;
    // News that is on its way may still come, answers as well.
    if (this.asked !== null && this.asked.answer === null) this.asked.answer = LOST;
  }

  /** Its policy no longer lets it take the cell over, say. What nobody wrote down is nobody's knowledge then. */
  launcherForget(): void {
    const { entry, published } = this;
    this.entry = null;
    if (published?.completed !== entry!.issuedAt) {
      this.completed.delete(entry!.issuedAt);
      this.unjudged.add(entry!.issuedAt);
      this.starts = [];
    }
    this.launcherStart();
  }

  launcherStart(): void {
    this.launcherUp = true;
    this.launcherLife++;
    this.revision = this.habits.countsAnew ? 0 : this.launcherLife * 1_000_000;
    this.failNext = false;
    const { entry } = this;
    if (entry === null) {
      must(this.sandbox === null, "an orphan");
      return;
    }
    this.revision++;
    if (entry.exit === null && this.sandbox === null) {
      this.#ended(entry, { code: 137, at: this.now });
    }
    this.cell = this.#cellOf(entry, entry.exit === null ? "running" : "exited");
  }

  // ---- the daemon

  daemonCrash(): void {
    this.daemonUp = false;
    this.connected = false;
    this.news = [];
    this.snapshot = null;
    this.asked = null;
    this.toPublish = null;
  }

  daemonStart(): void {
    this.daemonUp = true;
    this.life++;
    this.memory = noMemory;
    this.known = false;
    this.seen = 0;
    this.status = null;
    this.desired = null;
    this.stale = true;
    this.dirty = true;
    this.wakeAt = null;
  }

  #setStatus({ cell, revision }: News): void {
    if (revision < this.seen) return;
    this.seen = revision;
    this.known = true;
    this.status = cell;
    this.dirty = true;
  }

  connect(): void {
    this.connected = true;
    this.line = this.launcherLife;
    this.isFresh = true;
    this.news = [];
  }

  disconnect(): void {
    this.connected = false;
    this.news = [];
    this.snapshot = null;
    this.known = false;
    this.seen = 0;
    this.dirty = true;
  }

  hear(): void {
    this.#setStatus(this.news.shift()!);
  }

  takeSnapshot(): void {
    this.isFresh = false;
    this.snapshot = { cell: this.cell, revision: this.revision };
  }

  hearSnapshot(): void {
    this.#setStatus(this.snapshot!);
    this.snapshot = null;
  }

  pass(): void {
    this.dirty = false;
    if (this.stale) {
      this.stale = false;
      this.#evaluate();
    }
    const desired = this.desired!;
    const { memory, action } = this.habits.core(
      desired,
      { known: this.known, cell: this.status },
      this.memory,
      this.now,
    );
    this.memory = memory;
    this.wakeAt = null;
    this.#report(desired);
    if (action === null) return;
    if (action.type === "wake") {
      must(action.at > this.now, "a wake that is due already");
      this.wakeAt = action.at;
      return;
    }
    must(this.known, "an action without knowing what is there");
    must(desired.want !== "hold", "an action on events that can't be used");
    if (action.type === "create") {
      must(desired.want === "running" && desired.problem === null, "a start that nobody wants");
      const lives = this.status?.phase === "running" || this.status?.phase === "starting";
      must(lives || this.truth.trouble !== "unbound" || this.stale, "a start without its service");
    } else {
      must(this.status !== null, "an end of nothing");
      must(action.graceMs === 0 || action.graceMs === GRACE_MS, "another grace");
    }
    const request = {
      kind: action.type,
      life: this.life,
      desired,
      spec: this.spec,
      startedAt: this.status?.startedAt ?? null,
    };
    this.asked = { request, answer: this.launcherUp ? null : LOST };
    if (this.launcherUp) this.queue.push(request);
  }

  #evaluate(): void {
    this.desired = this.evaluated();
    this.spec = this.truth.spec;
    const { published } = this;
    if (published === null) return;
    if (this.memory.completedIssuedAt === null) {
      this.memory = { ...this.memory, completedIssuedAt: published.completed };
    }
    if (this.memory.generation === null && published.reason === "crash-loop") {
      this.memory = { ...this.memory, brokenIssuedAt: published.issuedAt };
    }
  }

  #report(desired: Desired): void {
    const { phase } = summarise(
      desired,
      { known: this.known, cell: this.status },
      this.memory,
      this.now,
    );
    if (phase === "pending" || phase === "stopping") return;
    this.toPublish = {
      issuedAt: desired.issuedAt,
      reason: phase === "failed" && isBroken(desired, this.memory) ? "crash-loop" : null,
      completed: this.memory.completedIssuedAt,
    };
  }

  publish(): void {
    this.published = this.toPublish;
    this.toPublish = null;
  }

  answered(): void {
    const { answer, request } = this.asked!;
    this.asked = null;
    if (answer === LOST) {
      if (request.kind === "create") {
        this.memory = afterRefused(this.memory, { code: "unreachable", message: "m" }, this.now);
        this.dirty = true;
      } else this.wakeAt = this.now + 1_000;
      return;
    }
    if (answer!.outcome === "another") {
      this.wakeAt = this.now + 1_000;
      return;
    }
    this.dirty = true;
    switch (answer!.outcome) {
      case "created":
      case "found":
        if ((answer!.cell?.exit ?? null) === null) this.memory = afterCreated(this.memory);
        break;
      case "conflict":
        this.memory = afterConflict(this.memory);
        return;
      case "refused":
        this.memory = afterRefused(this.memory, { code: "x", message: "m" }, this.now);
        return;
      case "destroyed":
        this.memory = afterDestroyed(this.memory);
    }
    this.#setStatus(answer!);
  }

  edit(change: Partial<Truth>): void {
    const own = change.trouble === undefined && change.credentials === undefined;
    Object.assign(this.truth, change, own ? { issuedAt: this.truth.issuedAt + 1 } : {});
    this.newsOfEvents();
  }

  newsOfEvents(): void {
    this.stale = true;
    this.dirty = true;
  }

  time(ms: number): void {
    this.now += ms;
    if (this.daemonUp && this.wakeAt !== null && this.wakeAt <= this.now) {
      this.wakeAt = null;
      this.dirty = true;
    }
  }

  get isBroken(): boolean {
    return this.desired !== null && isBroken(this.desired, this.memory);
  }

  get isCut(): boolean {
    return this.connected && (!this.launcherUp || this.line !== this.launcherLife);
  }

  /** Everything that is under way comes to its end, and nothing new happens. */
  settle(): void {
    this.failNext = false;
    if (!this.launcherUp) this.launcherStart();
    if (!this.daemonUp) this.daemonStart();
    if (this.truth.trouble !== "none") this.edit({ trouble: "none" });
    for (let round = 0; round < 2_000; round++) {
      if (this.stage !== null || this.queue.length > 0) this.launcherStep();
      else if (this.news.length > 0) this.hear();
      else if (this.snapshot !== null) this.hearSnapshot();
      else if (this.asked !== null && this.asked.answer !== null) this.answered();
      // A line that saw the old launcher's end only now.
      else if (this.isCut) this.disconnect();
      else if (this.connected && this.isFresh) this.takeSnapshot();
      else if (!this.connected) this.connect();
      else if (this.dirty && this.asked === null) this.pass();
      else if (this.toPublish !== null) this.publish();
      else if (this.wakeAt !== null) this.time(Math.max(1, this.wakeAt - this.now));
      else return this.#settled();
    }
    throw new Broken("it does not come to rest");
  }

  #settled(): void {
    // A snapshot comes every half minute; it must tell nothing new.
    must(
      JSON.stringify(this.status) === JSON.stringify(this.cell),
      "the daemon believes what is not so",
    );
    const { want, issuedAt, credentials, spec, policy } = this.truth;
    must((this.sandbox === null) === (this.cell?.phase !== "running"), "an orphan");
    if (want !== "running") {
      return must(this.sandbox === null && this.cell === null, "it should be gone");
    }
    if (this.sandbox !== null) {
      must(this.sandbox.spec === spec, "it runs from another spec");
      return must(this.sandbox.credentials === `c${credentials}`, "it runs with old credentials");
    }
    const broken = this.isBroken;
    if (policy === "always") return must(broken, "it should run");
    const isOver = this.completed.has(issuedAt) || this.unjudged.has(issuedAt);
    must(broken || isOver, "it should run, or have completed");
  }
}

const LOST: Answer = { cell: null, revision: 0, outcome: "refused" };
