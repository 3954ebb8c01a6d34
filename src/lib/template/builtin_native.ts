// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent as templates, one for each provider. Its model is a service of its proxy, which alone has the
 * key; its walls are the sandbox's. docs/guide/native-agent.md.
 */
import type { Template } from "../schema/events.ts";
import { SEEN } from "./builtin_agents.ts";

interface Provider {
  readonly description: string;
  /** Of the service, and of the credential. */
  readonly name: string;
  readonly upstream: string;
  readonly host: string;
  readonly header: Pick<
    NonNullable<Template["proxy_services"]>[string],
    "inject_headers" | "auth_scheme"
  >;
  readonly payload: Readonly<Record<string, unknown>>;
}

function nativeTemplate(provider: Provider): Template {
  const { name, upstream, host, header } = provider;
  return {
    description: provider.description,
    inherits: ["bureau/template:networked"],
    command: [
      ...["/opt/bureau/deno", "run", "--quiet", "--no-prompt", "--cached-only"],
      ...["--config=/opt/bureau/deno.json", "-P=native", "/opt/agent/native.js"],
    ],
    filesystem: [
      { source: "${AGENTS_DIR}/native", dest: "/opt/agent", mode: "ro" },
      // What it keeps between two starts lies beside the workspace, not in it.
      { source: "${AGENT_HOME}", dest: "/home/agent", mode: "rw" },
      { source: "${WORKSPACE}", dest: "/workspace", mode: "rw" },
      { dest: "/tmp", type: "tmpfs", options: `size=${512 * 1024 * 1024}` },
    ],
    environment_variables: {
      HOME: "/home/agent",
      DENO_DIR: "/tmp/deno",
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
    },
    default_payload: { ...provider.payload, service: name },
    proxy_services: { [name]: { upstream, ...header } },
    required_credentials: [name],
    optional_services: ["agent"],
    egress: { allow: [{ host, paths: [] }] },
    authorization: { grants: [{ actions: [`http/${name}`, ...SEEN] }] },
  };
}

export const nativeTemplates = {
  "agent-native": nativeTemplate({
    description: "Bureau's own agent, with a model of Anthropic",
    name: "anthropic",
    upstream: "https://api.anthropic.com",
    host: "api.anthropic.com:443",
    header: { inject_headers: { "X-Api-Key": "anthropic" } },
    payload: { model: "claude-sonnet-4-5", protocol: "anthropic" },
  }),
  "agent-native-openai": nativeTemplate({
    description: "Bureau's own agent, with a model of OpenAI",
    name: "openai",
    upstream: "https://api.openai.com/v1",
    host: "api.openai.com:443",
    header: { inject_headers: { Authorization: "openai" }, auth_scheme: "Bearer" },
    payload: { model: "gpt-5", protocol: "openai-responses" },
  }),
} satisfies Readonly<Record<string, Template>>;
