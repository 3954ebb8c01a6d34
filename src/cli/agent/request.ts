// SPDX-License-Identifier: Apache-2.0

/** What `agent create` is asked for, from flags or from one document on stdin. */
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import { readBootstrap } from "../../lib/provision/mod.ts";
import { RestartPolicy, Secret, StartCondition } from "../../lib/schema/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { parseCredentials, SealedInput } from "./credentials.ts";

export const CreateAgentRequest = z.object({
  version: z.literal(1),
  template: z.string(),
  repo: z.optional(z.string()),
  /** Of the agent's own in its clone. */
  branch: z.optional(z.string()),
  /** What of the repository it begins from. */
  from: z.optional(z.string()),
  variables: z.optional(z.record(z.string(), z.string())),
  payload: z.optional(z.record(z.string(), z.unknown())),
  start_condition: z.optional(StartCondition),
  /** Absent: the template's. */
  restart_policy: z.optional(RestartPolicy),
  extra_inherits: z.optional(z.array(z.string())),
  command_override: z.optional(z.array(z.string())),
  environment_override: z.optional(z.string()),
  required_services_override: z.optional(z.array(z.string())),
  secrets_override: z.optional(z.array(Secret)),
  extra_environment_variables: z.optional(z.record(z.string(), z.string())),
  /** Null: keep what is sealed already. Secret. */
  credentials: z.nullable(SealedInput),
});
export type CreateAgentRequest = z.infer<typeof CreateAgentRequest>;

const OVERRIDES = [
  "payload",
  "start_condition",
  "restart_policy",
  "extra_inherits",
  "command_override",
  "environment_override",
  "required_services_override",
  "secrets_override",
  "extra_environment_variables",
] as const;

/** What of the request goes into the assignment as it is; absent fields stay absent. */
export function overridesOf(
  request: CreateAgentRequest,
): Pick<CreateAgentRequest, typeof OVERRIDES[number]> {
  return Object.fromEntries(
    OVERRIDES.filter((name) => request[name] !== undefined).map((name) => [name, request[name]]),
  );
}

const usage = (why: string) => new CliError("usage", `Cannot create: ${why}`);

/**
 * @param namespace whose templates are meant by a name alone
 * @throws {CliError} `usage`
 */
export async function readRequest(
  call: Invocation,
  namespace: string,
): Promise<CreateAgentRequest> {
  const request = await requestOf(call);
  if (!/^[^:@/]+$/.test(request.template)) return request;
  return { ...request, template: `${namespace}/template:${request.template}` };
}

async function requestOf(call: Invocation): Promise<CreateAgentRequest> {
  const { flags } = call;
  if (flags["from-stdin"] === true) {
    return await readBootstrap((json) => z.parse(CreateAgentRequest, json));
  }
  const inherits = flags["inherit"] as readonly string[] | undefined;
  const services = flags["require-service"] as readonly string[] | undefined;
  return {
    version: 1,
    template: String(flags["template"]),
    ...(flags["repo"] === undefined ? {} : { repo: String(flags["repo"]) }),
    ...(flags["branch"] === undefined ? {} : { branch: String(flags["branch"]) }),
    ...(flags["from"] === undefined ? {} : { from: String(flags["from"]) }),
    ...(flags["payload"] === undefined
      ? {}
      : { payload: parseObject("--payload", String(flags["payload"])) }),
    ...(flags["start-condition"] === undefined
      ? {}
      : { start_condition: parseCondition(String(flags["start-condition"])) }),
    ...(flags["restart"] === undefined
      ? {}
      : { restart_policy: parseRestart(String(flags["restart"])) }),
    variables: readPairs(flags["var"]),
    ...(inherits === undefined || inherits.length === 0 ? {} : { extra_inherits: [...inherits] }),
    ...(flags["environment"] === undefined
      ? {}
      : { environment_override: String(flags["environment"]) }),
    // One empty name is how a shell says that none is required.
    ...(services === undefined || services.length === 0
      ? {}
      : { required_services_override: services.filter((name) => name !== "") }),
    credentials: await readCredentials(flags["credentials"] as string | undefined),
  };
}

function parseCondition(text: string): StartCondition {
  const given = parseObject("--start-condition", text);
  const condition = z.safeParse(StartCondition, given);
  const unknown = Object.keys(given).filter((field) =>
    !Object.hasOwn(condition.data ?? given, field)
  );
  if (condition.success && unknown.length === 0) return condition.data;
  throw usage(
    "--start-condition takes event_type, state_key, room_alias (#room:server) and content_match " +
      "(field to value, or to $eq, $in, $lt, $lte, $gt, $gte)",
  );
}

function parseRestart(text: string): RestartPolicy {
  const policy = z.safeParse(RestartPolicy, text);
  if (policy.success) return policy.data;
  throw usage(`--restart takes always, on-failure or never, not "${text}"`);
}

function readPairs(flag: unknown): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of (flag as readonly string[] | undefined) ?? []) {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--var takes NAME=VALUE, not "${pair}"`);
    pairs[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return pairs;
}

export function parseObject(what: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Reported below.
  }
  throw usage(`${what} takes a JSON object`);
}

async function readCredentials(source: string | undefined): Promise<SealedInput | null> {
  if (source === undefined) return null;
  let text: string;
  try {
    text = source === "-"
      ? await new Response(Deno.stdin.readable).text()
      : await Deno.readTextFile(source);
  } catch (thrown) {
    throw usage(`--credentials "${source}" cannot be read: ${messageOf(thrown)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw usage("--credentials is not JSON");
  }
  return parseCredentials(json);
}
