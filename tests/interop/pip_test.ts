// SPDX-License-Identifier: Apache-2.0

/** pip inside a sandbox installs from an index that wants a token: by the reverse service and by HTTPS_PROXY. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { programs } from "./packages.ts";
import { type Agent, withRig } from "./rig.ts";
import { startPipIndex, WHEEL_VERSION } from "./servers/pip_index.ts";
import { authorityOf } from "./servers/tls.ts";

for (const way of ["reverse", "forward"] as const) {
  Deno.test(`pip: install (${way})`, async (t) => {
    const missing = await programs("python3", "pip3");
    if (missing !== null) return await skip(t, missing);
    await withRig(async (rig) => {
      const token = rig.secret("token");
      await using index = await startPipIndex(rig.servers, token, rig.authority);
      const direct = authorityOf(index);
      const shared = {
        credentials: { token: { value: token, servers: [index] } },
        servers: [index],
      };
      const ways: Record<typeof way, Omit<Agent, "script">> = {
        reverse: {
          ...shared,
          services: {
            pypi: {
              upstream: `https://${direct}`,
              basic_auth: { username: "agent", password: "token" },
            },
          },
          environment: { INDEX: "http://127.0.0.1:8642/http/pypi/simple/" },
        },
        forward: { ...shared, placeholders: { PIP_TOKEN: "token" } },
      };
      const { code, said } = await rig.run({
        ...ways[way],
        script: `
          export PIP_INDEX_URL="\${INDEX:-https://agent:$PIP_TOKEN@${direct}/simple/}"
          pip3 install --quiet --disable-pip-version-check --no-input --target site bureau-interop || exit 1
          PYTHONPATH=site python3 -c 'import bureau_interop; print(bureau_interop.greet())'
          ls site
        `,
      });
      assert.equal(code, 0, said);
      assert.match(said, /^installed through the proxy$/m);
      assert.match(said, new RegExp(`^bureau_interop-${WHEEL_VERSION}\\.dist-info$`, "m"));
      if (way === "reverse") assert.equal(index.refused(), 0);
    });
  });
}
