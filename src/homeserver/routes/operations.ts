// SPDX-License-Identifier: Apache-2.0

/** Bureau's own calls, for accounts that were registered as admin. */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import { loadMetrics } from "../../lib/metrics/load.ts";
import { ownMetrics } from "../../lib/metrics/mod.ts";
import { forbidden, invalidParam } from "../errors.ts";
import type { AuthedHandler, Call, Routes } from "../http.ts";
import { backup, compact } from "../maintenance.ts";
import { measured, statistics } from "../statistics.ts";

function howMany(text: string | null): number | null {
  if (text !== null && !/^[1-9]\d{0,5}$/.test(text)) {
    throw invalidParam("Cannot keep so many backups: `keep` is a number from 1 on");
  }
  return text === null ? null : Number(text);
}

export function operationRoutes(routes: Routes): void {
  const admin = (method: string, path: string, handler: AuthedHandler) =>
    routes.raw(method, `/_bureau/homeserver/v1${path}`, {
      open: false,
      handler: (call) => {
        if (!call.session.admin) throw forbidden("Cannot serve this: you are not a server admin");
        return handler(call);
      },
    });
  admin("GET", "/stats", ({ ctx }) => statistics(ctx));
  const told = async ({ ctx, request }: Call) =>
    ownMetrics(request, await loadMetrics(), measured(statistics(ctx)));
  admin("GET", "/metrics", told);
  // The same for the machine's daemon, which has no such account.
  routes.raw("GET", "/_bureau/homeserver/v1/scrape", {
    open: true,
    handler: (call) => {
      if (!sameSecret(bearerOf(call.request), call.ctx.config.metrics_token ?? "")) {
        throw forbidden("Cannot serve this: the token is not the one for metrics");
      }
      return told(call);
    },
  });
  admin("POST", "/backup", ({ ctx, query }) => backup(ctx, howMany(query.get("keep"))));
  admin("POST", "/compact", ({ ctx }) => compact(ctx));
}
