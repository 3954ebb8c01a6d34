// SPDX-License-Identifier: Apache-2.0

/** What the payload says of the agent; docs/guide/native-agent.md has every field. */
import type { Protocol } from "../../src/agent/model/mod.ts";
import type { AgentLimits } from "../../src/agent/native/mod.ts";
import { type McpServer, mcpServersOf } from "../../src/agent/native/mcp_config.ts";
import { CHAIN_LENGTH } from "../room/talk.ts";
import { type Manners, oneOf, PayloadError, readManners } from "../room/payload.ts";

export interface Config {
  readonly model: string;
  readonly protocol: Protocol;
  /** Of the proxy. */
  readonly service: string;
  readonly instructions: string;
  readonly maxTokens: number;
  readonly contextWindow: number | undefined;
  readonly effort: "low" | "medium" | "high" | undefined;
  readonly limits: AgentLimits;
  readonly disabledTools: readonly string[];
  readonly skillsDir: string;
  readonly mcp: readonly McpServer[];
  /** People are asked before what can do harm. */
  readonly isGated: boolean;
  /** So many messages of programs to one another are answered without a person's word. */
  readonly agentChain: number;
  readonly manners: Manners;
  /** It may have workers, and they theirs, so deep; undefined: as deep as the contract of workers has it. */
  readonly hasWorkers: boolean;
  readonly maxSpawnDepth: number | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const PROTOCOLS: readonly Protocol[] = ["anthropic", "openai-chat", "openai-responses"];
const EFFORTS = ["low", "medium", "high"] as const;

/** @throws {PayloadError} naming the field */
export function readConfig(payload: Fields): Config {
  const protocol = oneOf(payload, "protocol", PROTOCOLS) ?? "anthropic";
  const limits = objectOf(payload, "limits");
  return {
    model: textOf(payload, "model") ?? missing("model"),
    protocol,
    service: textOf(payload, "service") ?? (protocol === "anthropic" ? "anthropic" : "openai"),
    instructions: textOf(payload, "instructions") ?? "",
    maxTokens: numberOf(payload, "max_tokens", 1) ?? 8192,
    contextWindow: numberOf(payload, "context_window", 1000),
    effort: oneOf(payload, "effort", EFFORTS),
    limits: {
      ...given("rounds", numberOf(limits, "rounds", 1)),
      ...given("tokens", numberOf(limits, "tokens", 1)),
      ...given("usd", numberOf(limits, "usd", 0)),
    },
    disabledTools: textsOf(payload, "disabled_tools"),
    skillsDir: textOf(payload, "skills_dir") ?? "/workspace/.claude/skills",
    isGated: flagOf(payload, "enforce_permissions"),
    agentChain: numberOf(payload, "agent_chain", 0) ?? CHAIN_LENGTH,
    manners: readManners(payload),
    hasWorkers: flagOf(payload, "nested_spawn"),
    maxSpawnDepth: numberOf(payload, "max_spawn_depth", 1),
    mcp: payload["mcp_servers"] === undefined ? [] : mcpServersOf(payload["mcp_servers"]),
  };
}

function missing(field: string): never {
  throw new PayloadError(field, "it is missing");
}

function given<K extends string>(key: K, value: number | undefined): { [_ in K]?: number } {
  return value === undefined ? {} : { [key]: value } as { [_ in K]: number };
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "") throw new PayloadError(name, "it is no text");
  return value;
}

function textsOf(fields: Fields, name: string): readonly string[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
    throw new PayloadError(name, "it is no list of texts");
  }
  return value;
}

function flagOf(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== "boolean") throw new PayloadError(name, "it is neither true nor false");
  return value;
}

function numberOf(fields: Fields, name: string, least: number): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || value < least) {
    throw new PayloadError(name, `it is no number from ${least}`);
  }
  return value;
}

function objectOf(fields: Fields, name: string): Fields {
  const value = fields[name] ?? {};
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new PayloadError(name, "it is no object");
}
