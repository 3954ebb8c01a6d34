// SPDX-License-Identifier: Apache-2.0

/** What a client asks about the server itself. */
import { createHmac } from "node:crypto";
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS } from "../create_room.ts";
import { notFound } from "../errors.ts";
import { defaultPushRules } from "../push_rules.ts";
import type { Routes } from "../http.ts";

/** Versions whose client API this server follows, as far as its README says. */
const VERSIONS = [
  "v1.1",
  "v1.2",
  "v1.3",
  "v1.4",
  "v1.5",
  "v1.6",
  "v1.7",
  "v1.8",
  "v1.9",
  "v1.10",
  "v1.11",
];

export function serverRoutes(routes: Routes): void {
  routes
    .raw("GET", "/_matrix/client/versions", {
      open: true,
      handler: () => ({
        versions: ["r0.6.1", ...VERSIONS],
        unstable_features: {},
      }),
    })
    .raw("GET", "/.well-known/matrix/client", {
      open: true,
      handler: ({ request }) => ({
        "m.homeserver": { base_url: new URL(request.url).origin },
      }),
    })
    .raw("GET", "/health", { open: true, handler: () => new Response("OK") })
    .on("GET", "/capabilities", () => ({
      capabilities: {
        "m.change_password": { enabled: true },
        "m.room_versions": {
          default: DEFAULT_ROOM_VERSION,
          available: Object.fromEntries(ROOM_VERSIONS.map((version) => [version, "stable"])),
        },
        "m.set_displayname": { enabled: true },
        "m.set_avatar_url": { enabled: true },
        "m.3pid_changes": { enabled: false },
        "m.get_login_token": { enabled: false },
      },
    }))
    .on("GET", "/voip/turnServer", ({ ctx, session }) => {
      const { turn } = ctx.config;
      if (turn === undefined) return {};
      const expires = Math.floor(ctx.clock.now() / 1000) + turn.ttl_seconds;
      const username = `${expires}:${session.userId}`;
      return {
        username,
        password: createHmac("sha1", turn.shared_secret).update(username).digest("base64"),
        uris: turn.uris,
        ttl: turn.ttl_seconds,
      };
    })
    .on("GET", "/account/3pid", () => ({ threepids: [] }))
    .on("GET", "/thirdparty/protocols", () => ({}))
    .on("GET", "/pushrules", ({ session }) => defaultPushRules(session.userId))
    .on("GET", "/pushrules/global", ({ session }) => defaultPushRules(session.userId).global)
    .on("GET", "/pushers", () => ({ pushers: [] }))
    .on("GET", "/room_keys/version", () => {
      throw notFound("Cannot find a key backup: this homeserver has none");
    });
}
