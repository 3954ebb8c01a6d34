// SPDX-License-Identifier: Apache-2.0

/**
 * Other people's agents as templates. Their walls are the sandbox, so they ask nobody before they act; their model is
 * a service of their proxy, which alone has the key. docs/guide/agents.md.
 */
import type { Template } from "../schema/events.ts";

const BRIDGE = "http://127.0.0.1:8642";
/** Where the programs want a key, and must not have one. */
const NO_KEY = "in-the-proxy";

const PROXY = "/run/bureau/proxy.sock";
const AGENT_SERVICE = "/run/bureau/service/agent.sock";

/** That it types, and what it is at, others in its room may see. */
export const SEEN: readonly string[] = ["matrix/send/m.typing", "matrix/send/m.presence"];

/** What they keep between two starts lies beside the workspace, not in it. */
const HOME = [
  { source: "${AGENT_HOME}", dest: "/home/agent", mode: "rw" as const },
  { source: "${WORKSPACE}", dest: "/workspace", mode: "rw" as const },
  { dest: "/tmp", type: "tmpfs" as const, options: `size=${512 * 1024 * 1024}` },
];

/** `/opt/mcp/serve`: what the agent's proxy does for it, as tools for any program that speaks MCP. */
const MCP = { source: "${AGENTS_DIR}/mcp", dest: "/opt/mcp", mode: "ro" as const };

/** Runs `agent/driver` with what it needs: its socket, its home, and the one program. */
function driven(name: string, program: string): string[] {
  return [
    ...["/opt/bureau/deno", "run", "--quiet", "--no-prompt", "--no-config", "--cached-only"],
    ...["--allow-env", `--allow-net=unix:${PROXY},unix:${AGENT_SERVICE},192.0.2.1:80`],
    ...["--allow-read=/run/bureau,/home/agent"],
    `--allow-write=${PROXY},${AGENT_SERVICE},/home/agent`,
    ...[`--allow-run=${program}`, "/opt/agent/driver.js", name, program],
  ];
}

export const agentTemplates = {
  "agent-shell": {
    description: "A shell in a sandbox, with a workspace and a home that stay",
    inherits: ["bureau/template:networked"],
    command: ["/bin/bash", "-l"],
    filesystem: HOME,
    environment_variables: { DENO_NO_UPDATE_CHECK: "1", HOME: "/home/agent" },
  },
  "agent-claude": {
    description: "Claude Code: answers in its room and on its terminal",
    inherits: ["bureau/template:agent-shell"],
    command: driven("claude", "/opt/claude/claude"),
    filesystem: [
      { source: "${AGENTS_DIR}/driver", dest: "/opt/agent", mode: "ro" },
      MCP,
      { source: "${AGENTS_DIR}/claude", dest: "/opt/claude", mode: "ro" },
    ],
    environment_variables: {
      ANTHROPIC_AUTH_TOKEN: NO_KEY,
      ANTHROPIC_BASE_URL: `${BRIDGE}/http/anthropic`,
      // `.claude` is a name that sandboxes protect.
      CLAUDE_CONFIG_DIR: "/home/agent/claude",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      // Where it runs as root of a namespace, it refuses to go without its own questions otherwise.
      IS_SANDBOX: "1",
      NO_COLOR: "1",
    },
    proxy_services: {
      anthropic: {
        upstream: "https://api.anthropic.com",
        inject_headers: { "X-Api-Key": "claude" },
        strip_headers: ["authorization"],
      },
    },
    required_credentials: ["claude"],
    // Where its sessions are kept, if anywhere.
    optional_services: ["agent"],
    egress: { allow: [{ host: "api.anthropic.com:443", paths: [] }] },
    authorization: { grants: [{ actions: ["http/anthropic", ...SEEN] }] },
  },
  "agent-claude-terminal": {
    description: "Claude Code as a person uses it, on the agent's terminal",
    inherits: ["bureau/template:agent-claude"],
    command: ["/opt/agent/terminal", "claude"],
  },
  "agent-codex": {
    description: "Codex: answers in its room and on its terminal",
    inherits: ["bureau/template:agent-shell"],
    command: driven("codex", "/opt/agent/codex"),
    filesystem: [
      { source: "${AGENTS_DIR}/driver", dest: "/opt/agent", mode: "ro" },
      MCP,
      { source: "${AGENTS_DIR}/codex", dest: "/opt/codex", mode: "ro" },
    ],
    environment_variables: {
      CODEX_API_KEY: NO_KEY,
      CODEX_BASE_URL: `${BRIDGE}/http/openai`,
      CODEX_HOME: "/home/agent/codex",
      NO_COLOR: "1",
    },
    proxy_services: {
      openai: {
        upstream: "https://api.openai.com/v1",
        inject_headers: { Authorization: "codex" },
        auth_scheme: "Bearer",
      },
    },
    required_credentials: ["codex"],
    optional_services: ["agent"],
    egress: { allow: [{ host: "api.openai.com:443", paths: [] }] },
    authorization: { grants: [{ actions: ["http/openai", ...SEEN] }] },
  },
  "agent-codex-terminal": {
    description: "Codex as a person uses it, on the agent's terminal",
    inherits: ["bureau/template:agent-codex"],
    command: ["/opt/agent/terminal", "codex"],
  },
} satisfies Readonly<Record<string, Template>>;
