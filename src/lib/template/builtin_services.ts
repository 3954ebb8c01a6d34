// SPDX-License-Identifier: Apache-2.0

/** Bureau's own services as templates. docs/guide/services.md, and a page for each. */
import type { Template } from "../schema/events.ts";

export const serviceTemplates = {
  "agent-service": {
    description: "Keeps agents' sessions, their context, and what both took",
    inherits: ["bureau/template:service"],
    service: {
      description: "Keeps agents' sessions, their context, and what both took",
      capabilities: ["session", "context", "metrics"],
    },
    // Deno comes with it.
    bridge: true,
    command: [
      ...["/opt/bureau/deno", "run", "--quiet", "--no-prompt", "--cached-only"],
      ...["--config=/opt/bureau/deno.json", "-P=agent-service", "/opt/agent/agent_service.js"],
    ],
    filesystem: [
      { source: "${AGENTS_DIR}/agent-service", dest: "/opt/agent", mode: "ro" },
      { source: "${AGENT_HOME}", dest: "/var/lib/bureau/agent-service", mode: "rw" },
    ],
    environment_variables: { DENO_DIR: "/tmp/deno", DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
    authorization: {
      grants: [{
        actions: ["matrix/state/m.bureau.agent_session", "matrix/state/m.bureau.agent_metrics"],
      }],
    },
  },
} satisfies Readonly<Record<string, Template>>;
