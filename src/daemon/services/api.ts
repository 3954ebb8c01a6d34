// SPDX-License-Identifier: Apache-2.0

/** Services, for who runs in no sandbox here. */
import * as z from "zod/mini";

export const serviceRoutes = {
  serviceToken: {
    method: "POST",
    path: "/v1/services/:role/token",
    summary:
      "A token of one's own for the service that fills a role on this machine, under one's own grants, for 5 minutes; right `service/token` on the machine, written down. 404 `role-unbound`",
    response: z.object({ token: z.string(), service: z.string(), expires_at: z.number() }),
  },
  serviceGet: {
    method: "GET",
    path: "/v1/services/:role/call/*",
    summary:
      "Ask the service that fills a role on this machine, under one's own grants; its answer as it comes. Right `service/token` on the machine, written down. 404 `role-unbound`, 502 `unreachable`",
    kind: "text",
  },
  servicePost: {
    method: "POST",
    path: "/v1/services/:role/call/*",
    summary: "As the other, with a body that is passed on as it comes",
    kind: "text",
  },
} as const;
