// SPDX-License-Identifier: Apache-2.0

/** Tests: a launcher that only keeps books. */
import type { ApprovalRequest } from "../lib/approval/mod.ts";
import { canonicalJson, sha256Hex } from "../lib/canonical/mod.ts";
import { BureauError } from "../lib/errors.ts";
import { createHandler, listenUnix, sseResponse } from "../lib/http/mod.ts";
import { principalHash } from "../lib/ref/mod.ts";
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import {
  type CreateRequest,
  launcherApi,
  type LauncherEvent,
  type Principal,
  type Usage,
} from "../launcher/api.ts";
import { type EgressRules, proxyAdminApi } from "../proxy/api.ts";

/** Speaks the launcher's interface, makes the directories and a proxy's admin socket, runs nothing. */
export class FakeLauncher {
  readonly creates: CreateRequest[] = [];
  /** What the next proxies would start with. */
  readonly rights: (ProxyPolicy & { readonly principal: string })[] = [];
  readonly destroys: { principal: string; grace: string | null }[] = [];
  readonly policies: ProxyPolicy[] = [];
  /** What proxies were told of single hosts. */
  readonly rules: EgressRules[] = [];
  readonly cells = new Map<string, Principal>();
  /** Thrown by the next creates. */
  refusal: BureauError | null = null;
  /** Whether other credentials reach what runs. */
  renews = true;
  /** What agents say of themselves, by principal, to whoever watches their proxies from then on. */
  /** Tool calls that agents ask leave for, and what their proxies were answered. */
  readonly asked = new Map<string, ApprovalRequest[]>();
  readonly answers: { key: string; approved: boolean; why: string }[] = [];
  readonly #tell = new Map<string, (event: unknown) => void>();
  readonly said = new Map<string, { state: string; message: string | null; at: number }>();
  readonly #run: string;
  #revision = 0;
  readonly #watchers = new Set<(event: LauncherEvent) => void>();
  readonly #proxies = new Map<string, { life: AbortController; finished: Promise<void> }>();
  #server: Deno.HttpServer | null = null;
  #closing = new AbortController();

  constructor(run: string) {
    this.#run = run;
  }

  async start(): Promise<void> {
    this.#closing = new AbortController();
    const unused = () => {
      throw new Error("not needed");
    };
    const handler = createHandler(launcherApi, {
      status: unused,
      hardware: unused,
      metrics: () => new Response("bureau_launcher_proxy_restarts_total 3\n"),
      rights: ({ params, body }) => {
        this.rights.push({ principal: params["principal"]!, ...body });
        return { kept: true };
      },
      output: () => ({ now: [], last: null }),
      usage: ({ params }) => this.#usage(params["principal"]!),
      freeze: ({ params }) => this.#setFrozen(params["principal"]!, true),
      thaw: ({ params }) => this.#setFrozen(params["principal"]!, false),
      kill: ({ params }) => {
        this.exit(params["principal"]!, 137);
        return { killed: true };
      },
      list: () => ({ principals: [...this.cells.values()], revision: this.#revision }),
      show: ({ params }) => this.cells.get(params["principal"]!)!,
      create: ({ params, body }) => this.#create(params["principal"]!, body),
      retire: ({ body }) => ({ newest: body.assignment.issued_at }),
      destroy: async ({ params, query }) => {
        const principal = params["principal"]!;
        this.destroys.push({ principal, grace: query.get("grace_ms") });
        const present = this.cells.get(principal);
        if (present === undefined) return { removed: false, revision: this.#revision };
        this.cells.delete(principal);
        await this.#endProxy(principal);
        await Deno.remove(`${this.#run}/p/${present.hash}`, { recursive: true });
        this.emit({ type: "removed", principal, revision: ++this.#revision });
        return { removed: true, revision: this.#revision };
      },
      wait: () => {
        throw new Error("not needed");
      },
      offer: ({ params }) => ({
        socket: `${this.#run}/p/${this.cells.get(params["principal"]!)!.hash}/offer/service.sock`,
      }),
      relay: ({ params }) => ({
        socket: `${this.#run}/p/${this.cells.get(params["principal"]!)!.hash}/observe/relay.sock`,
      }),
      events: () =>
        sseResponse((send) => {
          for (const status of this.cells.values()) {
            const { principal, revision } = status;
            send({ type: "principal", principal, status, revision });
          }
          this.#watchers.add(send);
          return () => this.#watchers.delete(send);
        }, this.#closing.signal),
    });
    this.#server = await listenUnix(`${this.#run}/launcher/launcher.sock`, handler);
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    const server = this.#server;
    this.#server = null;
    await server?.shutdown();
  }

  async close(): Promise<void> {
    for (const name of this.#proxies.keys()) await this.#endProxy(name);
    await this.stop();
  }

  emit(event: LauncherEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }

  /** As if each had two processes; one that does not run has no control group. */
  #usage(principal: string): Usage {
    const cell = this.cells.get(principal);
    if (cell?.phase !== "running") {
      throw new BureauError("no-cgroups", `Cannot tell what "${principal}" uses`, { status: 409 });
    }
    return {
      memory_bytes: 1,
      memory_peak_bytes: 2,
      memory_limit_bytes: null,
      oom_kills: 0,
      pids: 2,
      pids_limit: 9,
      pids_refused: 0,
      cpu_ms: 1,
      cpu_throttled: null,
      frozen: cell.frozen === true,
    };
  }

  /** The sandbox ended by itself. */
  exit(principal: string, code: number): void {
    const at = Date.now();
    const exit = { code, signal: null, at, output: [] };
    const revision = ++this.#revision;
    const status: Principal = { ...this.cells.get(principal)!, phase: "exited", exit, revision };
    this.cells.set(principal, status);
    this.emit({ type: "principal", principal, status, revision });
  }

  #setFrozen(principal: string, frozen: boolean): Principal {
    const revision = ++this.#revision;
    const status: Principal = { ...this.cells.get(principal)!, frozen, revision };
    this.cells.set(principal, status);
    this.emit({ type: "principal", principal, status, revision });
    return status;
  }

  async #create(name: string, request: CreateRequest): Promise<Principal> {
    this.creates.push(request);
    if (this.refusal !== null) throw this.refusal;
    const present = this.cells.get(name);
    // As the launcher's own: what may change while it runs is not in it.
    const { authorization: _a, egress: _e, issued_at: _i, payload: _p, signature: _s, ...rest } =
      request.assignment;
    const spec = await sha256Hex(canonicalJson(rest));
    const credentials = request.credentials === null ? null : await sha256Hex(request.credentials);
    if (present?.phase === "running") {
      if (present.spec_digest === spec && present.credentials_digest === credentials) {
        const { issued_at } = request.assignment;
        if (issued_at === present.issued_at) return present;
        const renewed = { ...present, issued_at, revision: ++this.#revision };
        this.cells.set(name, renewed);
        this.emit({
          type: "principal",
          principal: name,
          status: renewed,
          revision: renewed.revision,
        });
        return renewed;
      }
      if (present.spec_digest === spec && credentials !== null && this.renews) {
        const revision = ++this.#revision;
        const renewed: Principal = { ...present, credentials_digest: credentials, revision };
        this.cells.set(name, renewed);
        this.emit({ type: "principal", principal: name, status: renewed, revision });
        return renewed;
      }
      throw new BureauError("running", `Cannot start "${name}": it runs`, { status: 409 });
    }
    if (present !== undefined) return present;
    const hash = await principalHash(name);
    for (const folder of ["agent", "admin", "egress", "observe"]) {
      await Deno.mkdir(`${this.#run}/p/${hash}/${folder}`, { recursive: true });
    }
    const status: Principal = {
      principal: name,
      user_id: request.assignment.principal,
      hash,
      phase: "running",
      issued_at: request.assignment.issued_at,
      spec_digest: spec,
      credentials_digest: credentials,
      started_at: Date.now(),
      exit: null,
      proxy: { ready: true, restarts: 0 },
      message: null,
      revision: ++this.#revision,
    };
    this.cells.set(name, status);
    await this.startProxy(name);
    this.emit({ type: "principal", principal: name, status, revision: status.revision });
    return status;
  }

  /** A proxy's administration; again: the one before has died. */
  async startProxy(name: string): Promise<void> {
    await this.#endProxy(name);
    const life = new AbortController();
    const handler = createHandler(proxyAdminApi, {
      health: () => ({ status: "ok" }),
      stats: () => {
        throw new Error("not needed");
      },
      metrics: () => new Response("# TYPE bureau_proxy_requests_total counter\n"),
      grants: ({ body }) => {
        this.policies.push(body);
        return { count: body.grants.length };
      },
      egress: ({ body }) => {
        this.rules.push(body);
        return { count: body.allow.length + body.deny.length };
      },
      budget: () => ({ ready: true }),
      drain: () => ({ active: 0 }),
      approval: ({ body }) => {
        this.answers.push(body);
        return { asked: true };
      },
      watch: () => {
        const said = this.said.get(name);
        return sseResponse((send) => {
          if (said !== undefined) send({ attention: said });
          this.#tell.set(name, send);
          const asked = this.asked.get(name) ?? [];
          if (asked.length > 0) send({ approvals: { asked } });
          return () => {};
        }, life.signal);
      },
    });
    const { hash } = this.cells.get(name)!;
    const path = `${this.#run}/p/${hash}/admin/admin.sock`;
    const server = await listenUnix(path, handler, { signal: life.signal });
    this.#proxies.set(name, { life, finished: server.finished });
  }

  /** Its agent asks leave for a call. */
  askLeave(name: string, request: ApprovalRequest): void {
    this.asked.set(name, [...this.asked.get(name) ?? [], request]);
    this.#tell.get(name)?.({ approvals: { asked: [request] } });
  }

  /** The answer has reached its agent; or that has given up. */
  endLeave(name: string, key: string, how: "taken" | "left"): void {
    this.asked.set(name, this.asked.get(name)!.filter((one) => one.key !== key));
    this.#tell.get(name)?.({ approvals: { [how]: [key] } });
  }

  async #endProxy(name: string): Promise<void> {
    const proxy = this.#proxies.get(name);
    this.#proxies.delete(name);
    proxy?.life.abort();
    await proxy?.finished;
  }
}
