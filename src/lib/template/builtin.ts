// SPDX-License-Identifier: Apache-2.0
import type { Template } from "../schema/events.ts";
import { nativeTemplates } from "./builtin_native.ts";
import { agentTemplates } from "./builtin_agents.ts";
import { serviceTemplates } from "./builtin_services.ts";

/**
 * The templates that come with Bureau, by name; they are published into `bureau/template`. None gives
 * the sandbox a network: an agent reaches the world through its proxy alone (W-6); `passthrough` has no sandbox.
 */
export const builtinTemplates: Readonly<
  Record<
    | ("base" | "agent" | "networked" | "service" | "passthrough" | "scribe")
    | keyof typeof nativeTemplates
    | keyof typeof agentTemplates
    | keyof typeof serviceTemplates,
    Template
  >
> = {
  base: {
    description: "An isolated process: its own namespaces, no network, an empty /tmp",
    isolation: "standard",
    command: ["/bin/sh"],
    filesystem: [{ dest: "/tmp", type: "tmpfs", options: `size=${64 * 1024 * 1024}` }],
    create_dirs: ["/workspace"],
    environment_variables: {
      HOME: "/workspace",
      LANG: "C.UTF-8",
      PATH: "/usr/local/bin:/usr/bin:/bin",
    },
  },
  agent: {
    description: "An agent that speaks to Matrix through its proxy",
    inherits: ["bureau/template:base"],
    environment_variables: { BUREAU_PROXY_SOCKET: "/run/bureau/proxy.sock" },
    egress: { allow: ["${HOMESERVER_HOST}"] },
    authorization: {
      grants: [{ actions: ["matrix/read", "matrix/send/m.room.message"] }],
    },
  },
  networked: {
    description:
      "An agent whose programs reach what its egress policy allows: git, npm, pip, cargo and curl as they are",
    inherits: ["bureau/template:agent"],
    bridge: true,
  },
  service: {
    description: "A program that answers others: it reads its rooms and writes in none",
    inherits: ["bureau/template:base"],
    service: {},
    environment_variables: { BUREAU_PROXY_SOCKET: "/run/bureau/proxy.sock" },
    egress: { allow: ["${HOMESERVER_HOST}"] },
    authorization: { grants: [{ actions: ["matrix/read"] }] },
    restart_policy: "always",
  },
  // No parent: what `base` mounts would hide the machine's own directories.
  passthrough: {
    description:
      "A process without a sandbox, by the exception that the operator wrote into the machine's policy",
    isolation: "none",
    command: ["/bin/sh"],
    environment_variables: {
      BUREAU_PROXY_SOCKET: "/run/bureau/proxy.sock",
      HOME: "/tmp",
      LANG: "C.UTF-8",
      PATH: "/usr/local/bin:/usr/bin:/bin",
    },
    egress: { allow: ["${HOMESERVER_HOST}"] },
    authorization: {
      grants: [{ actions: ["matrix/read", "matrix/send/m.room.message"] }],
    },
  },
  scribe: {
    description: "The example agent: has a document time-stamped and reports it",
    inherits: ["bureau/template:agent"],
    command: ["/opt/agent/scribe"],
    filesystem: [
      { source: "${AGENT_DIR}", dest: "/opt/agent", mode: "ro" },
      { source: "${WORKSPACE}", dest: "/workspace", mode: "ro" },
      { dest: "/scratch", type: "tmpfs", options: `size=${64 * 1024 * 1024}` },
    ],
    proxy_services: {
      timestamp: {
        upstream: "${TIMESTAMP_URL}",
        inject_headers: { "X-Api-Key": "TIMESTAMP_API_KEY" },
      },
    },
    required_credentials: ["TIMESTAMP_API_KEY"],
    egress: { allow: ["${TIMESTAMP_HOST}"] },
    authorization: {
      grants: [{ actions: ["http/timestamp", "matrix/state/m.bureau.report"] }],
    },
  },
  ...nativeTemplates,
  ...agentTemplates,
  ...serviceTemplates,
};
