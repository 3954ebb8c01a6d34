// SPDX-License-Identifier: Apache-2.0

/** Bureau's own calls, for accounts that were registered as admin. */
import { forbidden, invalidParam } from "../errors.ts";
import type { AuthedHandler, Routes } from "../http.ts";
import { backup, compact } from "../maintenance.ts";
import { prometheusText, statistics } from "../statistics.ts";

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
  admin("GET", "/metrics", ({ ctx }) =>
    new Response(prometheusText(statistics(ctx)), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }));
  admin("POST", "/backup", ({ ctx, query }) => backup(ctx, howMany(query.get("keep"))));
  admin("POST", "/compact", ({ ctx }) => compact(ctx));
}
