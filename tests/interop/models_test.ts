// SPDX-License-Identifier: Apache-2.0

/**
 * The official Anthropic and OpenAI SDKs inside a sandbox, streaming from a protocol-true mock through the
 * proxy: words as they come, tools, errors, 429, streams that are cut, streams that are left.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { startModels } from "../../src/agent/testing/model/mod.ts";
import { scenarios } from "../../src/agent/testing/model/scenarios.ts";
import { packages } from "./packages.ts";
import { type Agent, withRig } from "./rig.ts";
import { authorityOf, DOMAIN } from "./servers/tls.ts";
import { waitFor } from "./wait.ts";

const SDKS = {
  anthropic: { path: "", header: { inject_headers: { "x-api-key": "key" } }, count: 10 },
  openai: {
    path: "/v1",
    header: { inject_headers: { Authorization: "key" }, auth_scheme: "Bearer" },
    count: 13,
  },
} as const;

for (const sdk of ["anthropic", "openai"] as const) {
  for (const way of ["reverse", "forward"] as const) {
    Deno.test(`the ${sdk} SDK: streams, tools, errors, retries, cuts (${way})`, async (t) => {
      const found = await packages("clients");
      if ("reason" in found) return await skip(t, found.reason);
      await using clients = found;
      await withRig(async (rig) => {
        await rig.allowBind(clients.dir);
        const key = rig.secret("key");
        const other = `other-${crypto.randomUUID()}`;
        const models = startModels({
          script: scenarios(),
          keys: { anthropic: other, openai: other, [sdk]: key },
          tls: rig.authority,
        });
        const server = {
          host: `models.${DOMAIN}`,
          port: models.port,
          [Symbol.asyncDispose]: () => models.stop(),
        };
        await using _ = server;
        const { path, header, count } = SDKS[sdk];
        const shared = {
          credentials: { key: { value: key, servers: [server] } },
          servers: [server],
          binds: { [clients.dir]: "/opt/clients" },
          script: `exec node /opt/clients/programs/${sdk}.mjs`,
        };
        const ways: Record<typeof way, Agent> = {
          reverse: {
            ...shared,
            services: { models: { upstream: `https://${authorityOf(server)}`, ...header } },
            environment: { BASE_URL: `http://127.0.0.1:8642/http/models${path}` },
          },
          forward: {
            ...shared,
            placeholders: { API_KEY: "key" },
            environment: { BASE_URL: `https://${authorityOf(server)}${path}`, FORWARD: "1" },
          },
        };
        const { code, said } = await rig.run(ways[way]);
        assert.equal(code, 0, said);
        const { checked, failure } = JSON.parse(said.trim().split("\n").at(-1)!);
        assert.equal(failure, null);
        assert.equal(checked.length, count, checked.join(", "));
        assert.equal(models.strangers(), 0);
        // Who left a stream that never ends was noticed at its other end.
        await waitFor("the mock is left", () => models.abandoned() > 0);
      });
    });
  }
}
