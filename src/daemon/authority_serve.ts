// SPDX-License-Identifier: Apache-2.0
import type { Handlers } from "../lib/http/mod.ts";
import type { daemonApi } from "./api.ts";
import { DaemonError } from "./errors.ts";
import type { Served } from "./serve.ts";

const MAX_CHARS = 1024;

/** Anybody may ask about themselves; of others, operators and those whom the machine lets. */
export function createAuthorityHandlers(
  served: Served,
): Pick<Handlers<typeof daemonApi>, "authorizationOf" | "checkAuthorization"> {
  const { authority, verifier } = served;
  const { origins } = authority;

  const evaluationOf = (userId: string) =>
    [...served.principals()].find((principal) => principal.userId === userId)?.evaluation ?? null;

  async function mayAsk(request: Request, about: string): Promise<void> {
    const viewer = await verifier.userOf(request);
    // An operator whom some denial keeps out can still find out which.
    const may = viewer === about || authority.party(viewer).kind === "operator" ||
      authority.mayOnMachine(viewer, "authorization/read");
    if (may) return;
    throw new DaemonError("forbidden", "Cannot say what others may do: only operators may ask", {
      status: 403,
    });
  }

  return {
    async authorizationOf({ request, query }) {
      const user = named(query, "user");
      await mayAsk(request, user);
      const { kind, policy } = authority.party(user);
      return { user_id: user, kind, ...origins.views(policy, user, evaluationOf(user)) };
    },
    async checkAuthorization({ request, query }) {
      const actor = named(query, "actor");
      const action = named(query, "action");
      const target = query.has("target") ? named(query, "target") : undefined;
      await mayAsk(request, actor);
      const { allowed, reason, grant, denial, allowance, allowanceDenial } = authority
        .decide(actor, action, target);
      const ofActor = (rule: typeof grant) =>
        rule === undefined ? null : origins.view(rule, actor, evaluationOf(actor));
      const ofTarget = (rule: typeof allowance) =>
        rule === undefined || target === undefined
          ? null
          : origins.view(rule, target, evaluationOf(target));
      return {
        actor,
        actor_kind: authority.party(actor).kind,
        action,
        target: target ?? null,
        allowed,
        reason,
        grant: ofActor(grant),
        denial: ofActor(denial),
        allowance: ofTarget(allowance),
        allowance_denial: ofTarget(allowanceDenial),
      };
    },
  };
}

function named(query: URLSearchParams, name: string): string {
  const text = query.get(name) ?? "";
  if (text !== "" && text.length <= MAX_CHARS) return text;
  throw new DaemonError("bad-request", `Cannot answer: "${name}" is missing or too long`, {
    status: 400,
  });
}
