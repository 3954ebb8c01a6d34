// SPDX-License-Identifier: Apache-2.0

/** The daemon's socket: every request is somebody's, and shows what that somebody may see. */
import type { launcherApi } from "../launcher/api.ts";
import { type Client, createHandler } from "../lib/http/mod.ts";
import { resolvePrincipal } from "../lib/ref/mod.ts";
import type { StateEvent } from "../messaging/mod.ts";
import { mayDo, type TokenVerifier, type Viewer } from "./access.ts";
import { daemonApi, type DaemonStatus } from "./api.ts";
import type { EgressAsks } from "./asks/asks.ts";
import { describeEgress } from "./asks/policy_view.ts";
import { decideAsk, followAsks } from "./asks/serve.ts";
import { DaemonError } from "./errors.ts";
import type { Fanout } from "./fanout.ts";
import { createMatrixHandlers } from "./fanout_serve.ts";
import { gatherMetrics } from "./metrics.ts";
import { joinRelay } from "./observe.ts";
import type { Spending } from "./spending.ts";
import type { ManagedPrincipal } from "./principal.ts";

export interface Served {
  readonly verifier: TokenVerifier;
  readonly fleet: string;
  readonly serverName: string;
  readonly principals: () => Iterable<ManagedPrincipal>;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  readonly isAdmin: (userId: string) => boolean;
  readonly status: () => Omit<DaemonStatus, "principals" | "asks">;
  readonly asks: EgressAsks;
  readonly spending: Spending;
  /** Ends streams when the daemon ends. */
  readonly closing: AbortSignal;
  /** Asks the launcher for a relay. @returns its socket on the host */
  readonly openRelay: (principal: ManagedPrincipal) => Promise<string>;
  /** For what the daemon only passes on. */
  readonly launcher: Client<typeof launcherApi>;
  /** Of the thread of the egress gates. */
  readonly gateRestarts: () => number;
  readonly fanout: Fanout;
  readonly roomState: (room: string) => Promise<readonly StateEvent[]>;
  readonly now: () => number;
  readonly log: import("../lib/log.ts").Logger;
}

export function createDaemonHandler(served: Served): (request: Request) => Promise<Response> {
  /** What a user may do now; no more than that is ever remembered of them. */
  function viewerNow(userId: string): Viewer {
    const own = [...served.principals()].find((principal) => principal.userId === userId);
    return { userId, isAdmin: served.isAdmin(userId), policy: own?.evaluation.policy ?? null };
  }

  const viewerOf = async (request: Request) => viewerNow(await served.verifier.userOf(request));

  const may = (viewer: Viewer, action: string, principal: ManagedPrincipal) =>
    principal.userId === viewer.userId ||
    mayDo(
      viewer,
      action,
      { userId: principal.userId, policy: principal.evaluation.policy },
      served.now(),
    );

  const observable = (viewer: Viewer) =>
    [...served.principals()].filter((principal) => may(viewer, "observe", principal));

  const visible = (viewer: Viewer) =>
    observable(viewer)
      .map((principal) => principal.view())
      .sort((a, b) => a.principal < b.principal ? -1 : 1);

  /** What may not be seen is answered like what is not there. */
  function find(viewer: Viewer, name: string): ManagedPrincipal {
    const principal = served.principal(resolvePrincipal(name, served.fleet, served.serverName));
    if (principal === undefined || !may(viewer, "observe", principal)) {
      throw new DaemonError(
        "not-found",
        `Cannot find "${name}": no such principal on this machine, or not yours to see`,
        { status: 404, hint: "`bureau agent list` shows what is there" },
      );
    }
    return principal;
  }

  function findAsOperator(viewer: Viewer, name: string, what: string): string {
    const { localpart } = find(viewer, name);
    if (viewer.isAdmin) return localpart;
    throw new DaemonError("forbidden", `Cannot ${what} "${name}": only operators may`, {
      status: 403,
    });
  }

  async function setFrozen(
    viewer: Viewer,
    name: string,
    what: "freeze" | "thaw",
  ): Promise<{ frozen: boolean }> {
    const localpart = findAsOperator(viewer, name, what);
    const { frozen } = await served.launcher.call(what, { params: { principal: localpart } });
    served.log.info(what, { principal: localpart, by: viewer.userId });
    return { frozen: frozen ?? false };
  }

  async function operatorOf(request: Request): Promise<Viewer> {
    const viewer = await viewerOf(request);
    if (viewer.isAdmin) return viewer;
    throw new DaemonError(
      "forbidden",
      "Cannot see metrics, or see or answer egress questions: only operators may",
      {
        status: 403,
      },
    );
  }

  return createHandler(daemonApi, {
    ...createMatrixHandlers(served, viewerNow),
    health: () => ({ status: "ok" }),
    status: async ({ request }) => {
      const viewer = await viewerOf(request);
      const asks = viewer.isAdmin ? served.asks.view.pending : [];
      return { ...served.status(), principals: visible(viewer), asks };
    },
    list: async ({ request }) => ({ principals: visible(await viewerOf(request)) }),
    show: async ({ request, params }) => find(await viewerOf(request), params["principal"]!).view(),
    usage: async ({ request, params }) => {
      const { localpart } = find(await viewerOf(request), params["principal"]!);
      return await served.launcher.call("usage", { params: { principal: localpart } });
    },
    agentMetrics: async ({ request, params }) => {
      const { localpart, attachment } = find(await viewerOf(request), params["principal"]!);
      const account = await served.spending.of(localpart);
      return { proxy: await attachment.stats(), ...account.report() };
    },
    freeze: async ({ request, params }) =>
      await setFrozen(await viewerOf(request), params["principal"]!, "freeze"),
    thaw: async ({ request, params }) =>
      await setFrozen(await viewerOf(request), params["principal"]!, "thaw"),
    kill: async ({ request, params }) => {
      const viewer = await viewerOf(request);
      const localpart = findAsOperator(viewer, params["principal"]!, "kill");
      const answer = await served.launcher.call("kill", { params: { principal: localpart } });
      served.log.info("kill", { principal: localpart, by: viewer.userId });
      return answer;
    },
    traffic: async ({ request }) => ({
      principals: observable(await viewerOf(request)).map(({ localpart, attachment }) => ({
        principal: localpart,
        ...attachment.egressUsage,
      })),
    }),
    metrics: async ({ request }) => {
      await operatorOf(request);
      const all = [...served.principals()].map(({ localpart, attachment }) => ({
        localpart,
        usage: attachment.egressUsage,
        admin: attachment.adminSocket,
      }));
      const text = await gatherMetrics(all, served.gateRestarts());
      return new Response(text, { headers: { "content-type": "text/plain; version=0.0.4" } });
    },
    egressOf: async ({ request, params }) => {
      const { localpart, evaluation } = find(await viewerOf(request), params["principal"]!);
      return describeEgress(localpart, evaluation, served.asks.desk.rules.of(localpart));
    },
    asks: async ({ request }) => {
      await operatorOf(request);
      return served.asks.view;
    },
    decide: async ({ request, body }) => {
      const viewer = await operatorOf(request);
      const { principal: name, ...rest } = body;
      const principal = name === undefined ? {} : { principal: find(viewer, name).localpart };
      const answer = decideAsk(served.asks, { ...rest, ...principal }, viewer.userId);
      // Whoever hears that it is decided may rely on it after a restart.
      await served.asks.settled();
      return answer;
    },
    followAsks: async ({ request }) => {
      await operatorOf(request);
      return followAsks(served.asks, served.closing);
    },
    observe: async ({ request, params, query }) => {
      const viewer = await viewerOf(request);
      const principal = find(viewer, params["principal"]!);
      const wanted = query.get("mode") ?? "readonly";
      if (wanted !== "readonly" && wanted !== "readwrite") {
        throw new DaemonError("bad-mode", `Cannot observe in mode "${wanted}"`, {
          status: 400,
          hint: "readonly or readwrite",
        });
      }
      const mayType = viewer.isAdmin ||
        (principal.userId !== viewer.userId && may(viewer, "observe/read-write", principal));
      const mode = wanted === "readwrite" && mayType ? "readwrite" : "readonly";
      const relaySocket = await served.openRelay(principal);
      return await joinRelay({
        request,
        mode,
        relaySocket,
        log: served.log,
        onStart: () => {
          principal.attachment.watchers++;
          served.log.info("observation begins", {
            principal: principal.localpart,
            watcher: viewer.userId,
            mode,
          });
          return () => {
            principal.attachment.watchers--;
            served.log.info("observation ends", {
              principal: principal.localpart,
              watcher: viewer.userId,
            });
          };
        },
      });
    },
  });
}
