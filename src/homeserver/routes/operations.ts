// SPDX-License-Identifier: Apache-2.0

/** Bureau's own calls, for accounts that were registered as admin. */
import { forbidden } from "../errors.ts";
import type { AuthedHandler, Routes } from "../http.ts";
import { backup, compact } from "../maintenance.ts";
import { prometheusText, statistics } from "../statistics.ts";

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
  admin("GET", "/metrics", ({ ctx }) =>
    new Response(prometheusText(statistics(ctx)), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }));
  admin("POST", "/backup", ({ ctx }) => backup(ctx));
  admin("POST", "/compact", ({ ctx }) => compact(ctx));
}
