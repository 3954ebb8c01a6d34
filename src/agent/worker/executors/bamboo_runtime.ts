// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent as the engine: a session of its own for each run, in the spec's storage, with the model, the tools
 * and the limits of the spec.
 */
import { askParent, createGate, createReview, modelAsk } from "../../approval/mod.ts";
import { isReadOnly } from "../../guardian/mod.ts";
import {
  createModelClient,
  type Message,
  type ModelClient,
  type ModelClientOptions,
  type Protocol,
} from "../../model/mod.ts";
import { type AgentLimits, NativeAgent, Session, spendOn } from "../../native/mod.ts";
import { mcpServersOf } from "../../native/mcp_config.ts";
import { systemPrompt } from "../../native/prompt.ts";
import { fieldsOf, listOf, stringOf } from "../../model/types.ts";
import { pathComponent, type ProvisionSpec } from "../../provision/mod.ts";
import { builtinTools, findSkills, skillTool, type Tool, ToolBox } from "../../tools/mod.ts";
import { runGroup } from "../../tools/process.ts";
import type { SpawnOptions } from "../../spawn/tool.ts";
import { VERSION } from "../../../lib/version.ts";
import { type Executor, ExecutorError, type RunContext } from "../executor.ts";

export interface RuntimeOptions {
  /** How the model is reached; default: the global `fetch`. */
  readonly fetch?: ModelClientOptions["fetch"];
}

interface Runtime {
  readonly spec: ProvisionSpec;
  readonly model: string;
  readonly client: ModelClient;
  readonly workspace: string;
  readonly storage: string;
  readonly tools: readonly Tool[];
}

/** @throws {ExecutorError} when the spec has no model, no credential for it, or MCP servers that nobody can use */
export async function bambooRuntime(
  spec: ProvisionSpec,
  options: RuntimeOptions = {},
): Promise<Executor> {
  const { capabilities } = spec;
  const { model, client } = modelOf(spec, options);
  const storage = spec.storage_dir ?? await temporaryStorage(spec);
  await Deno.mkdir(`${storage}/sessions`, { recursive: true, mode: 0o700 });
  const workspace = spec.workspace ?? storage;
  const skills = capabilities.skills_dir === undefined
    ? []
    : await findSkills(capabilities.skills_dir);
  const extra = skills.length === 0 ? [] : [skillTool(skills)];
  const mcp = await mcpOf(spec, workspace);
  const own = capabilities.guardian_read_only
    ? await guardianTools(workspace)
    : [...builtinTools, ...mcp.tools];
  const runtime: Runtime = {
    ...{ spec, model, client, workspace, storage },
    tools: [...own, ...extra],
  };
  return {
    enforces: [
      "disabled_tools",
      "max_rounds",
      "enforce_permissions",
      "guardian_read_only",
      // Who counts is its parent: it has no other way to a worker than through that one's door.
      "max_spawn_depth",
    ],
    run: (context) => run(runtime, context),
    close: async () => {
      await mcp.close();
      if (spec.storage_dir === undefined) await Deno.remove(storage, { recursive: true });
    },
  };
}

async function run(runtime: Runtime, context: RunContext): Promise<string> {
  const { spec, client, model, workspace, storage } = runtime;
  const { assignment, reasoningEffort, signal } = context;
  using session = await Session.open(`${storage}/sessions/${context.runId}.jsonl`, model);
  const known = listOf(context.messages).map(messageOf).filter((message) => message !== null);
  // A conversation begins with what somebody asked.
  const begin = known.findIndex(({ role }) => role === "user");
  const history = begin === -1 ? [] : known.slice(begin);
  for (const message of history) await session.add(message);
  const rounds = spec.limits.max_rounds;
  const limits: AgentLimits = rounds === undefined ? {} : { rounds };
  const purse = { session, limits, emit: context.emit };
  const spawn = await spawnTools(spec, (...spent) => spendOn(purse, ...spent));
  const agent = new NativeAgent({
    client,
    model,
    session,
    system: systemPrompt({ workspace, name: spec.identity.role || "worker" }),
    tools: new ToolBox({
      tools: [...runtime.tools, ...spawn],
      disabled: spec.disabled_tools ?? [],
      workspace,
      gate: createGate({
        ...spec.capabilities,
        // Only where it is does a guardian have a shell here.
        isWalled: () => true,
        host: askParent(context.approve),
        review: createReview(modelAsk(client, model)),
      }),
    }),
    limits,
    emit: async (event) => {
      // The terminal says it.
      if (event.type !== "end") await context.emit(event);
    },
    takeMessages: () => context.takeMessages().map((text) => ({ text })),
    ...(isEffort(reasoningEffort) ? { effort: reasoningEffort } : {}),
  });
  // The assignment's own turn is among the messages where there are any.
  const isAsked = history.at(-1)?.role === "user";
  const end = await agent.run(isAsked ? null : { text: assignment }, signal);
  if (end.status === "completed") return end.result ?? "";
  throw new Error(end.error ?? "it was cancelled");
}

/** What it has only where its parent starts workers for it. */
async function spawnTools(
  spec: ProvisionSpec,
  spend: SpawnOptions["spend"],
): Promise<readonly Tool[]> {
  if (spec.capabilities.spawn_endpoint === undefined) return [];
  const { askForWorker, spawnTool, wishOf } = await import("../../spawn/mod.ts");
  const start: SpawnOptions["start"] = (asked, signal) =>
    askForWorker(spec, wishOf(spec, asked), signal);
  return [spawnTool({ start, spend })];
}

/** An entry of the history as parents keep it; what can't be read is left out. */
function messageOf(value: unknown): Message | null {
  const { role, content } = fieldsOf(value);
  if (role !== "user" && role !== "assistant") return null;
  const text = typeof content === "string"
    ? content
    : listOf(content).map((block) => stringOf(fieldsOf(block)["text"])).filter((each) =>
      each !== ""
    )
      .join("\n\n");
  return text.trim() === "" ? null : { role, content: [{ type: "text", text }] };
}

function isEffort(value: string | undefined): value is "low" | "medium" | "high" {
  return value === "low" || value === "medium" || value === "high";
}

function modelOf(
  { model, secrets }: ProvisionSpec,
  { fetch }: RuntimeOptions,
): { model: string; client: ModelClient } {
  const lacks = (why: string, hint: string) =>
    new ExecutorError("no-model", `Cannot run "bamboo_runtime": ${why}`, { hint, status: 400 });
  if (model === undefined) {
    throw lacks("the spec has no model", "set model.provider and model.model");
  }
  const credential = secrets.provider_credentials.find(({ provider }) =>
    provider === model.provider
  );
  if (credential === undefined) {
    throw lacks(
      `there is no credential for the provider "${model.provider}"`,
      "secrets.provider_credentials needs one: a placeholder, and a base_url at the proxy",
    );
  }
  const protocol = protocolOf(credential.provider_type ?? credential.provider);
  if (protocol === null) {
    throw lacks(
      `"${credential.provider_type ?? credential.provider}" is no protocol that it speaks`,
      "provider_type is anthropic, openai (Responses) or openai-chat",
    );
  }
  const baseUrl = credential.base_url ?? DEFAULT_URLS[protocol];
  const client = createModelClient({
    protocol,
    baseUrl,
    key: credential.api_key,
    ...(fetch === undefined ? {} : { fetch }),
  });
  return { model: model.model, client };
}

const DEFAULT_URLS: Readonly<Record<Protocol, string>> = {
  anthropic: "https://api.anthropic.com",
  "openai-chat": "https://api.openai.com/v1",
  "openai-responses": "https://api.openai.com/v1",
};

function protocolOf(type: string): Protocol | null {
  switch (type.toLowerCase()) {
    case "anthropic":
      return "anthropic";
    case "openai":
    case "openai-responses":
      return "openai-responses";
    case "openai-chat":
    case "openai-compatible":
      return "openai-chat";
    default:
      return null;
  }
}

async function temporaryStorage({ identity }: ProvisionSpec): Promise<string> {
  return await Deno.makeTempDir({ prefix: `${await pathComponent(identity.child_id)}-` });
}

async function mcpOf(
  { capabilities, identity }: ProvisionSpec,
  workspace: string,
): Promise<{ tools: readonly Tool[]; close: () => Promise<void> }> {
  const { mcp, mcp_proxy, guardian_read_only } = capabilities;
  if (mcp_proxy !== undefined && !guardian_read_only) {
    const { mailedTools } = await import("./mcp_mail.ts");
    return await mailedTools(
      identity.child_id,
      mcp_proxy,
      (why) => console.error(`without the tools of mcp_proxy: ${why}`),
    );
  }
  const servers = mcp === undefined || guardian_read_only ? [] : mcpServersOf(mcp);
  if (servers.length === 0) return { tools: [], close: () => Promise.resolve() };
  const { connectMcp } = await import("../../native/mcp.ts");
  const connected = await connectMcp(servers, { workspace, version: VERSION });
  return { tools: connected.tools, close: async () => await connected[Symbol.asyncDispose]() };
}

/** What reads. A shell only where the mounts see to it that nothing in the workspace changes. */
async function guardianTools(workspace: string): Promise<Tool[]> {
  const chunks: Uint8Array[] = [];
  await runGroup("/bin/cat", ["/proc/self/mountinfo"], {
    cwd: "/",
    timeoutMs: 30_000,
    signal: new AbortController().signal,
    onOutput: (chunk) => chunks.push(chunk),
  });
  const mounts = await new Blob(chunks as BlobPart[]).text();
  const hasShell = isReadOnly(mounts, workspace);
  return builtinTools.filter(({ name, isReadOnly }) => isReadOnly || (hasShell && name === "bash"));
}
