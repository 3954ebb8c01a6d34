// SPDX-License-Identifier: Apache-2.0

/** All principals of this machine: requests serialised per principal, never by one lock for all. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { createHandler, sseResponse } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import { principalHash } from "../lib/ref/mod.ts";
import type { Assignment } from "../lib/schema/events.ts";
import {
  type CreateRequest,
  launcherApi,
  type LauncherBootstrap,
  type LauncherEvent,
  type LauncherPolicy,
  type Principal as Status,
} from "./api.ts";
import { refuseExpired, refuseReplayed } from "./credentials.ts";
import { clearCell, type ClearContext, clearStrays } from "./clear.ts";
import { LauncherError } from "./errors.ts";
import { goOn } from "./go_on.ts";
import { readHardware } from "./hardware.ts";
import { HealthKeeper } from "./health/keeper.ts";
import { Journal, type JournalEntry } from "./journal.ts";
import { LauncherMetrics } from "./metrics.ts";
import { Cgroups } from "./limits_cell.ts";
import { offerSocket } from "./offer.ts";
import { requireMeant } from "./meant.ts";
import { loadMachineKey, type MachineKey } from "./machine_key.ts";
import { LastWords, linesWanted } from "./output.ts";
import { readPolicy } from "./policy.ts";
import { Principal, type PrincipalContext } from "./principal.ts";
import { RelayTurns } from "./relay.ts";
import { Recordings } from "./recordings.ts";
import { keepRights } from "./rights.ts";
import { RotatedCredentials } from "./rotated.ts";
import type { Origin } from "./status.ts";
import { proxyBootstrap, type Validated, validateRequest, verifyAssignment } from "./validate.ts";

const DEFAULT_GRACE_MS = 5_000;
const VERSION = "0.1.0";

export class Launcher {
  readonly #bootstrap: LauncherBootstrap;
  readonly #log: Logger;
  readonly #clock: Clock = systemClock;
  readonly #startedAt = systemClock.now();
  readonly #journal: Journal;
  readonly #principals = new Map<string, Principal>();
  readonly #lastWords: LastWords;
  /** The tail of each principal's queue. */
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #watchers = new Set<(event: LauncherEvent) => void>();
  readonly #cgroups: Cgroups | null;
  readonly #health: HealthKeeper;
  readonly #clearing: ClearContext;
  #key!: MachineKey;
  #rotated!: RotatedCredentials;
  readonly #recordings: Recordings;
  readonly #relayTurns = new RelayTurns(this.#clock);
  readonly #metrics = new LauncherMetrics();
  /** See `Revision`. Above those of every launcher before, so that news of two of them can't be taken for one another's. */
  #revision = systemClock.now() * 1_000;

  constructor(bootstrap: LauncherBootstrap, log: Logger) {
    this.#bootstrap = bootstrap;
    this.#log = log;
    this.#cgroups = bootstrap.cgroups === undefined ? null : new Cgroups(bootstrap.cgroups, log);
    this.#journal = new Journal(`${bootstrap.state_dir}/launcher`);
    this.#clearing = { runDir: bootstrap.run_dir, cgroups: this.#cgroups, log };
    this.#health = new HealthKeeper(`${bootstrap.state_dir}/launcher`, this.#clock);
    this.#recordings = new Recordings(bootstrap.state_dir, this.#clock, log);
    this.#lastWords = new LastWords(`${bootstrap.state_dir}/launcher`);
  }

  get machineKey(): MachineKey {
    return this.#key;
  }

  /** Key, journal, and everything that outlived an earlier launcher. */
  async open(): Promise<void> {
    const { state_dir, machine_key_file } = this.#bootstrap;
    this.#key = await loadMachineKey(`${state_dir}/launcher`, machine_key_file);
    this.#rotated = new RotatedCredentials(
      `${this.#bootstrap.state_dir}/launcher/rotated`,
      this.#key.identity,
      this.#log,
    );
    await this.#journal.open();
    await this.#health.records.open();
    const entries = await this.#journal.list((file) =>
      this.#log.error("a journal entry is unreadable; its principal is started anew", { file })
    );
    const known = new Set(entries.map((entry) => entry.hash));
    await clearStrays(this.#clearing, known);
    await this.#cgroups?.open(known);
    await Promise.all(entries.map((entry) => this.#resume(entry)));
    void this.#recordings.sweep(this.#principals);
  }

  async #resume(entry: JournalEntry): Promise<void> {
    try {
      const policy = await readPolicy(this.#bootstrap.policy_path);
      const { assignment } = entry.request;
      // Keys may have been withdrawn meanwhile. The machine was compared when it was accepted.
      const newest = await this.#journal.newest(entry.hash);
      await verifyAssignment(entry.principal, assignment, policy, assignment.machine, newest);
      const made = entry.instead ?? entry.request;
      const { machine } = assignment;
      await verifyAssignment(entry.principal, made.assignment, policy, machine, 0);
      const validated = await this.#validate(entry.principal, made, policy);
      const principal = this.#make(validated, {
        hash: entry.hash,
        issuedAt: assignment.issued_at,
        startedAt: entry.started_at,
        ...await this.#health.rolledBack(entry),
      });
      this.#principals.set(entry.principal, principal);
      if (entry.exit !== null) return principal.markExited(entry.exit);
      if (await principal.adopt(this.#proxyDocument(validated, made), validated)) {
        this.#health.follow(principal, { request: made, validated });
        this.#log.info("adopted a running principal", { principal: entry.principal });
        return;
      }
      const exit = { code: 137, signal: 9, at: this.#clock.now(), output: [] };
      await this.#journal.write({ ...entry, exit });
      principal.markExited(exit);
    } catch (thrown) {
      // Policy or template no longer allow it: what runs under them must not go on.
      this.#log.error("cannot adopt a principal; removing it", {
        principal: entry.principal,
        why: messageOf(thrown),
      });
      this.#principals.delete(entry.principal);
      if (await clearCell(this.#clearing, entry.hash)) await this.#journal.remove(entry.hash);
    }
  }

  #validate(name: string, request: CreateRequest, policy: LauncherPolicy): Promise<Validated> {
    const { runtime_dir } = this.#bootstrap;
    return validateRequest(name, request, policy, this.#key.identity, runtime_dir);
  }

  #proxyDocument(validated: Validated, request: CreateRequest) {
    const { server_name, machine } = this.#bootstrap;
    return proxyBootstrap(validated, request, { serverName: server_name, machine });
  }

  #make(
    validated: ConstructorParameters<typeof Principal>[0],
    origin: Origin,
  ): Principal {
    const context: PrincipalContext = {
      runDir: this.#bootstrap.run_dir,
      runtimeDir: this.#bootstrap.runtime_dir,
      machine: this.#bootstrap.machine,
      auditDir: this.#bootstrap.audit_dir,
      cgroups: this.#cgroups,
      clock: this.#clock,
      log: this.#log,
      rotated: this.#rotated,
      recordings: this.#recordings,
      relayTurns: this.#relayTurns,
      nextRevision: () => ++this.#revision,
      changed: (type, { localpart, status }) =>
        this.#emit({ type, principal: localpart, status, revision: status.revision }),
      exited: async (principal, exit, givenUp) => {
        const { hash, localpart } = principal;
        this.#metrics.exited(exit);
        await this.#lastWords.keep(hash, localpart, exit);
        await this.#health.exited(principal, exit, givenUp);
        await this.#journal.writeExit(hash, principal.status.started_at, exit);
      },
    };
    void this.#recordings.sweep(this.#principals);
    return new Principal(validated, origin, context);
  }

  #emit(event: LauncherEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }

  /** One thing at a time for each principal. */
  #queued<T>(name: string, act: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(name) ?? Promise.resolve();
    const mine = before.then(act, act);
    const settled = mine.catch(() => {});
    this.#queues.set(name, settled);
    settled.then(() => {
      if (this.#queues.get(name) === settled) this.#queues.delete(name);
    });
    return mine;
  }

  async #create(name: string, request: CreateRequest, keepsEnd: boolean): Promise<Status> {
    const policy = await readPolicy(this.#bootstrap.policy_path);
    const hash = await principalHash(name);
    const newest = await this.#journal.newest(hash);
    await verifyAssignment(name, request.assignment, policy, this.#bootstrap.machine, newest);
    const asked = { request, validated: await this.#validate(name, request, policy) };
    await refuseReplayed(this.#journal, hash, asked.validated);
    const chosen = await this.#health.choose(hash, asked, async (instead) => {
      await verifyAssignment(name, instead.assignment, policy, this.#bootstrap.machine, 0);
      return await this.#validate(name, instead, policy);
    });
    const { validated, rolledBack } = chosen;
    const present = this.#principals.get(name);
    if (present !== undefined) {
      const { phase, spec_digest, credentials_digest } = present.status;
      // What the sandbox itself holds of the credentials is the same, or all of them are.
      const same = spec_digest === validated.specDigest &&
        (credentials_digest === validated.credentialsDigest ||
          present.sealedIn === validated.sealedIn);
      if (phase === "running" && same) {
        const document = this.#proxyDocument(validated, chosen.request);
        const kept = { request, made: chosen.request, newest, journal: this.#journal };
        await goOn(present, validated, document, kept);
        await this.#health.updated(present, chosen);
        return present.status;
      }
      // It ended, and whoever asks for it has not seen that yet: a completed one-shot must not run again.
      if (keepsEnd && present.status.exit !== null) return present.status;
      if (phase === "running") {
        throw new LauncherError(
          "running",
          `Cannot start "${name}": it runs from another assignment, or with credentials that need another sandbox`,
          { status: 409, hint: "destroy it first" },
        );
      }
      await this.#forget(present, 0);
    }
    refuseExpired(validated, this.#clock.now());
    // Before anything is made: what is accepted now may never be undercut by an older one.
    if (request.assignment.issued_at > newest) {
      await this.#journal.see(hash, request.assignment.issued_at);
    }
    await this.#journal.seeCredentials(hash, validated.issuedCredentials);
    const startedAt = this.#clock.now();
    const document = this.#proxyDocument(validated, chosen.request);
    await this.#journal.write({
      version: 1,
      principal: name,
      hash,
      request,
      ...(rolledBack === undefined ? {} : { instead: chosen.request }),
      started_at: startedAt,
      exit: null,
    });
    const principal = this.#make(validated, {
      hash,
      issuedAt: request.assignment.issued_at,
      startedAt,
      ...(rolledBack === undefined ? {} : { rolledBack }),
    });
    this.#principals.set(name, principal);
    try {
      await principal.start(validated, document);
      this.#health.follow(principal, chosen);
    } catch (thrown) {
      await this.#forget(principal, 0);
      throw thrown;
    }
    return principal.status;
  }

  /** A daemon that is taken over later can't bring back what the operator removed. */
  async #retire(name: string, assignment: Assignment): Promise<number> {
    const policy = await readPolicy(this.#bootstrap.policy_path);
    const hash = await principalHash(name);
    const newest = await this.#journal.newest(hash);
    const { machine } = this.#bootstrap;
    await verifyAssignment(name, assignment, policy, machine, newest, "not-running");
    if (assignment.issued_at > newest) await this.#journal.see(hash, assignment.issued_at);
    if (assignment.desired === "absent") {
      await this.#lastWords.forget(hash);
      await this.#health.records.forget(hash);
    }
    return assignment.issued_at;
  }

  async #forget(principal: Principal, graceMs: number): Promise<void> {
    await principal.destroy(graceMs);
    await this.#journal.remove(principal.hash);
    this.#principals.delete(principal.localpart);
    this.#metrics.removed(principal.status);
    this.#emit({ type: "removed", principal: principal.localpart, revision: ++this.#revision });
  }

  #freeze(name: string, frozen: boolean): Promise<Status> {
    return this.#queued(name, () => this.#find(name).freeze(frozen));
  }

  #find(name: string): Principal {
    const principal = this.#principals.get(name);
    if (principal === undefined) {
      throw new LauncherError("no-such-principal", `Cannot find "${name}": it is not here`, {
        status: 404,
      });
    }
    return principal;
  }

  get #statuses(): Status[] {
    return [...this.#principals.values()].map(({ status }) => status);
  }

  /** The request handler of `launcher.sock`. @param closing ends event streams */
  handler(closing: AbortSignal): (request: Request) => Promise<Response> {
    return createHandler(launcherApi, {
      status: () => ({
        version: VERSION,
        pid: Deno.pid,
        started_at: this.#startedAt,
        machine: this.#bootstrap.machine,
        public_key: this.#key.publicKey,
        principals: this.#principals.size,
      }),
      hardware: () => readHardware(),
      metrics: ({ request }) => this.#metrics.answer(request, this.#statuses),
      list: () => ({
        principals: this.#statuses,
        revision: this.#revision,
      }),
      show: ({ params }) => this.#find(params["principal"]!).status,
      create: ({ params, body, query }) => {
        const name = params["principal"]!;
        const keepsEnd = query.get("unless_ended") === "1";
        const create = () => this.#queued(name, () => this.#create(name, body, keepsEnd));
        return this.#metrics.start(create);
      },
      destroy: ({ params, query }) => {
        const name = params["principal"]!;
        const grace = Number(query.get("grace_ms") ?? DEFAULT_GRACE_MS);
        if (!(grace >= 0 && grace <= 600_000)) {
          throw new LauncherError("bad-request", "Cannot destroy: grace_ms must be 0 to 600000", {
            status: 400,
          });
        }
        return this.#queued(name, async () => {
          const principal = this.#principals.get(name);
          if (principal === undefined) return { removed: false, revision: this.#revision };
          requireMeant(principal, query.get("started_at"));
          await this.#forget(principal, grace);
          return { removed: true, revision: this.#revision };
        });
      },
      rights: ({ params, body, query }) => {
        const name = params["principal"]!;
        return this.#queued(name, async () => {
          const principal = this.#find(name);
          requireMeant(principal, query.get("started_at"));
          await keepRights(principal, body, this.#journal);
          return { kept: true };
        });
      },
      retire: ({ params, body }) => {
        const name = params["principal"]!;
        return this.#queued(
          name,
          async () => ({ newest: await this.#retire(name, body.assignment) }),
        );
      },
      wait: ({ params }) => this.#find(params["principal"]!).wait(),
      relay: async ({ params }) => ({ socket: await this.#find(params["principal"]!).relay() }),
      output: async ({ params, query }) => {
        const name = params["principal"]!;
        const wanted = linesWanted(query);
        const now = await this.#principals.get(name)?.output() ?? null;
        return await this.#lastWords.answer(await principalHash(name), now, wanted);
      },
      offer: async ({ params }) => ({
        socket: await offerSocket(this.#bootstrap.run_dir, this.#find(params["principal"]!)),
      }),
      usage: ({ params }) => this.#find(params["principal"]!).usage(),
      freeze: ({ params }) => this.#freeze(params["principal"]!, true),
      thaw: ({ params }) => this.#freeze(params["principal"]!, false),
      kill: ({ params }) => {
        const name = params["principal"]!;
        return this.#queued(name, async () => {
          await this.#find(name).kill();
          return { killed: true };
        });
      },
      events: () =>
        sseResponse((send) => {
          for (const { localpart, status } of this.#principals.values()) {
            send({ type: "principal", principal: localpart, status, revision: status.revision });
          }
          this.#watchers.add(send);
          return () => this.#watchers.delete(send);
        }, closing),
    });
  }

  /** Agents stay; their proxies and relays end with us and are made again by the next launcher. */
  async close(): Promise<void> {
    await Promise.all([...this.#principals.values()].map((principal) => principal.release()));
    this.#key.identity.close();
  }
}
