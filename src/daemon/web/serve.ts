// SPDX-License-Identifier: Apache-2.0

/** `/v1/web…` of the daemon's socket: who may open the page, for operators. */
import type { Handlers } from "../../lib/http/mod.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { MachineAuthority } from "../machine_authority.ts";
import type { webRoutes } from "./api.ts";
import type { Session } from "./store.ts";
import type { Web } from "./web.ts";

export interface WebServed {
  readonly web: Web;
  readonly authority: MachineAuthority;
  /** Who asks, when they may do that on this machine. @throws {DaemonError} `forbidden` */
  readonly onMachine: (request: Request, action: string) => Promise<string>;
  /** Full localpart of an agent that `viewer` may watch. @throws {DaemonError} `not-found` */
  readonly observable: (viewer: string, name: string) => string;
}

const MAX_NAME = 64;

export function createWebHandlers(
  { web, authority, onMachine, observable }: WebServed,
): Pick<Handlers<typeof daemonApi>, keyof typeof webRoutes> {
  const issued = (actor: string, action: string, details: Readonly<Record<string, string>>) =>
    authority.audited(actor, action, authority.trust.machine, details);

  async function revoke(
    actor: string,
    action: string,
    id: string,
    kinds: readonly ("link" | "token" | "share")[],
  ) {
    const sessions = await (await web.access()).revoke(id, kinds);
    if (sessions === null) {
      throw new DaemonError("no-such-grant", `Cannot revoke "${id}": there is none of that id`, {
        status: 400,
        hint: "`bureau web token list` and `bureau web share list` show what there is",
      });
    }
    issued(actor, action, { what: "revoke", id });
    return { revoked: true, sessions };
  }

  return {
    web: async ({ request }) => {
      await onMachine(request, "web/open");
      return await web.status();
    },
    webLink: async ({ request }) => {
      const user = await onMachine(request, "web/open");
      const access = await web.access();
      const answer = await web.shown(await access.issue({ kind: "link", name: "link", user }));
      issued(user, "web/open", { what: "link", id: answer.id });
      return answer;
    },
    webTokens: async ({ request }) => {
      await onMachine(request, "web/token");
      return { grants: (await web.access()).list(["token", "link"]) };
    },
    webTokenCreate: async ({ request, body }) => {
      const user = await onMachine(request, "web/token");
      const access = await web.access();
      const name = body.name.slice(0, MAX_NAME);
      const answer = await access.issue({ kind: "token", name, user, forMs: body.for_ms });
      issued(user, "web/token", { what: "create", id: answer.id, name });
      return await web.shown(answer);
    },
    webTokenRevoke: async ({ request, params }) => {
      const user = await onMachine(request, "web/token");
      return await revoke(user, "web/token", params["id"]!, ["token", "link"]);
    },
    webShares: async ({ request }) => {
      await onMachine(request, "web/share");
      return { grants: (await web.access()).list(["share"]) };
    },
    webShareCreate: async ({ request, body }) => {
      const user = await onMachine(request, "web/share");
      const access = await web.access();
      const principal = observable(user, body.principal);
      const answer = await access.issue({
        ...{ kind: "share", name: principal, user, principal },
        forMs: body.for_ms,
      });
      issued(user, "web/share", { what: "create", id: answer.id, principal });
      return await web.shown(answer);
    },
    webShareRevoke: async ({ request, params }) => {
      const user = await onMachine(request, "web/share");
      return await revoke(user, "web/share", params["id"]!, ["share"]);
    },
    webListen: async ({ request, body }) => {
      const user = await onMachine(request, "web/listen");
      issued(user, "web/listen", { address: body.address ?? "none" });
      return await web.listenOn(body.address);
    },
  };
}

/** Logins are written down, those that fail too. */
export function auditLogin(authority: MachineAuthority): (session: Session | null) => void {
  const { machine } = authority.trust;
  return (session) =>
    authority.audit.record({
      decision: session === null ? "deny" : "allow",
      actor: session?.user ?? machine,
      action: "web/login",
      target: machine,
      details: session === null
        ? { reason: "unknown, used or over" }
        : { by: session.kind, id: session.grant, principal: session.principal ?? "" },
    });
}
