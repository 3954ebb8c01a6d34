// SPDX-License-Identifier: Apache-2.0

/**
 * Workers of this agent: child processes in its own sandbox, which is the walls of all that is its principal's. A file of its
 * own, so that an agent without them does not load what they take.
 */
import { createParentDecider } from "../../src/agent/approval/chain.ts";
import type { Protocol } from "../../src/agent/model/mod.ts";
import { ChildLauncher, workerArguments } from "../../src/agent/parent/mod.ts";
import { completeSpec, type ProvisionSpec } from "../../src/agent/provision/mod.ts";
import { Nest, type SpawnOptions, spawnTool, wishOf } from "../../src/agent/spawn/mod.ts";
import type { Tool } from "../../src/agent/tools/mod.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import type { Config } from "./config.ts";

/** Of the permission set `native` (deno.json), which has each of its sockets. */
const DIR = "/tmp/bureau-workers";
const RUNTIME = "/opt/bureau";
/** Where programs in the sandbox have the proxy. */
const PROXY = "http://127.0.0.1:8642";

const PROVIDER_TYPES: Readonly<Record<Protocol, string>> = {
  "anthropic": "anthropic",
  "openai-chat": "openai-chat",
  "openai-responses": "openai",
};

export interface WorkersOptions {
  readonly config: Config;
  /** As the payload has them. */
  readonly mcp: unknown;
  readonly workspace: string;
  readonly proxy: ProxyClient;
  readonly spend: SpawnOptions["spend"];
}

export interface Workers {
  readonly tool: Tool;
  /** A turn begins. */
  begin(): void;
}

export function workersOf(options: WorkersOptions): Workers {
  const { proxy, spend } = options;
  const launcher = new ChildLauncher(async (spec) => ({
    program: `${RUNTIME}/deno`,
    args: await workerArguments(spec, RUNTIME),
    // The sandbox's: there is no secret in it.
    inheritsEnvironment: true,
  }));
  const nest = new Nest({ launcher, dir: DIR });
  const own = ownSpec(options);
  const door = nest.within(own);
  const decide = createParentDecider({ human: (call, signal) => proxy.approval(call, { signal }) });
  let turn = new AbortController();
  const approve = async (body: unknown) => (await decide(body, turn.signal)).approved;
  // Whoever stops it stops all that it had done.
  const stop = () => {
    turn.abort();
    void door.end();
  };
  return {
    begin: () => {
      turn = new AbortController();
      door.begin({ approve, hear: () => {} });
    },
    tool: spawnTool({
      start: async (asked, signal) => {
        signal.addEventListener("abort", stop, { once: true });
        return await door.spawn(wishOf(own, asked));
      },
      spend,
    }),
  };
}

/** What the agent may have done: what it may itself. */
function ownSpec({ config, mcp, workspace }: WorkersOptions): ProvisionSpec {
  const { service, protocol, limits } = config;
  return completeSpec({
    version: 1,
    identity: { child_id: "agent", role: "worker", depth: 0 },
    executor: { kind: "bamboo_runtime" },
    fabric_dir: DIR,
    workspace,
    model: { provider: service, model: config.model },
    disabled_tools: [...config.disabledTools],
    limits: { max_rounds: limits.rounds },
    secrets: {
      provider_credentials: [{
        provider: service,
        // The key is the proxy's.
        api_key: "placeholder",
        base_url: `${PROXY}/http/${service}`,
        provider_type: PROVIDER_TYPES[protocol],
      }],
    },
    capabilities: {
      nested_spawn: true,
      max_spawn_depth: config.maxSpawnDepth,
      enforce_permissions: config.isGated,
      skills_dir: config.skillsDir,
      mcp: mcp as null,
    },
  });
}
