// SPDX-License-Identifier: Apache-2.0

/**
 * npm inside a sandbox publishes to a registry (Verdaccio) and installs from it, with a token that it never
 * has: by the reverse service and by HTTPS_PROXY with a placeholder.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { packages } from "./packages.ts";
import { type Agent, withRig } from "./rig.ts";
import { authorityOf } from "./servers/tls.ts";
import { startVerdaccio } from "./servers/verdaccio.ts";

const SESSION = `
  set -e
  export npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
  mkdir made used
  cd made
  cat >package.json <<'EOF'
{ "name": "@bureau/made", "version": "1.0.0", "main": "index.js" }
EOF
  echo 'module.exports = "installed through the proxy";' >index.js
  npm publish --loglevel=error
  cd ../used
  npm init --yes >/dev/null
  npm install --loglevel=error @bureau/made
  node -p 'require("@bureau/made")'
  npm view @bureau/made version
`;

for (const way of ["reverse", "forward"] as const) {
  Deno.test(`npm: publish and install (${way})`, async (t) => {
    const found = await packages("verdaccio");
    if ("reason" in found) return await skip(t, found.reason);
    await using verdaccio = found;
    await withRig(async (rig) => {
      await using registry = await startVerdaccio(
        `${rig.servers}/verdaccio`,
        verdaccio.dir,
        rig.authority,
      );
      rig.secrets["token"] = registry.token;
      const direct = authorityOf(registry);
      const shared = {
        credentials: { token: { value: registry.token, servers: [registry] } },
        servers: [registry],
      };
      const ways: Record<typeof way, Agent> = {
        reverse: {
          ...shared,
          services: {
            npm: {
              upstream: `https://${direct}`,
              inject_headers: { Authorization: "token" },
              auth_scheme: "Bearer",
            },
          },
          // npm publishes only with a token of its own in its hands: any will do, the proxy replaces it.
          script: `
            cat >.npmrc <<'EOF'
registry=http://127.0.0.1:8642/http/npm/
replace-registry-host=always
//127.0.0.1:8642/http/npm/:_authToken=none
EOF
          `,
        },
        forward: {
          ...shared,
          placeholders: { NPM_TOKEN: "token" },
          script: `
            cat >.npmrc <<'EOF'
registry=https://${direct}/
//${direct}/:_authToken=\${NPM_TOKEN}
EOF
          `,
        },
      };
      const agent = ways[way];
      const { code, said } = await rig.run({ ...agent, script: agent.script + SESSION });
      assert.equal(code, 0, `${said}\n${registry.log()}`);
      assert.match(said, /^installed through the proxy$/m);
      assert.match(said, /^1\.0\.0$/m);
    });
  });
}
