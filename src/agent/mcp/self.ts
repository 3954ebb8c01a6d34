// SPDX-License-Identifier: Apache-2.0

/** Who the agent is, what it may, what it says of itself, and leave for what it wants to do. */
import { MAX_RESOURCE, PERMISSIONS } from "../../lib/approval/limits.ts";
import type { Permission } from "../../lib/approval/types.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { ProxyClient, Said } from "../../lib/proxyclient/mod.ts";
import type { JsonObject, Progress, Tool } from "../../mcp/tool.ts";
import { proxyTool } from "./tool.ts";

const STATES = ["working", "waiting", "idle"] as const;
/** Clients give up on a call of which they hear nothing, some within a minute. */
const NEWS_MS = 15_000;

const TEXT = { type: "string" };
const MAYBE_TEXT = { type: ["string", "null"] };
const SAID = {
  type: ["object", "null"],
  properties: { state: { enum: [...STATES] }, message: MAYBE_TEXT, at: { type: "number" } },
};

export function selfTools(proxy: ProxyClient, clock: Clock = systemClock): Tool[] {
  const category = "self";
  return [
    proxyTool({
      name: "whoami",
      title: "Who you are",
      description:
        "Your name, account, machine, own room and services, and what you said of yourself last.",
      category,
      action: null,
      gives: {
        ...{ principal: TEXT, user_id: MAYBE_TEXT, server_name: TEXT, fleet: TEXT, machine: TEXT },
        ...{ room: MAYBE_TEXT, services: { type: "array", items: TEXT }, said: SAID },
      },
      call: async () => ({ ...await proxy.identity(), said: await proxy.attention() }),
    }),
    proxyTool({
      name: "grants",
      title: "What you may",
      description: "Your grants and denials as they are at this moment. An operator changes them.",
      category,
      action: null,
      gives: { grants: { type: "array" }, denials: { type: "array" } },
      call: async () => ({ ...await proxy.grants() }),
    }),
    proxyTool({
      name: "attention_set",
      title: "Say how you are",
      description:
        "Tell people that you work, wait for somebody, or have nothing to do. `waiting` calls a person: say in one line what for.",
      category,
      action: null,
      effect: "changes",
      idempotent: true,
      properties: {
        state: { type: "string", enum: STATES, description: "what holds now" },
        message: { type: "string", description: "one line for people, at most 200 characters" },
      },
      required: ["state"],
      gives: { said: SAID },
      call: async ({ state, message }) => ({
        said: await proxy.setAttention(state as Said["state"], message as string | undefined),
      }),
    }),
    proxyTool({
      name: "leave_ask",
      title: "Ask for leave",
      description:
        "Ask an operator before you do something that you were told to ask about, and wait for the answer: five minutes at most. " +
        "Without an answer, or with any error, it is no.",
      category,
      action: null,
      effect: "changes",
      properties: {
        tool: { type: "string", description: "the tool that you mean to use, e.g. Bash" },
        permission: { type: "string", enum: PERMISSIONS, description: "what kind of thing it is" },
        resource: {
          type: "string",
          description:
            `what people decide about: the whole command, the path, the address; at most ${MAX_RESOURCE} characters`,
        },
      },
      required: ["tool", "permission", "resource"],
      gives: { approved: { type: "boolean" }, why: TEXT },
      call: async (args, progress) => await askLeave(proxy, clock, args, progress),
    }),
  ];
}

async function askLeave(
  proxy: ProxyClient,
  clock: Clock,
  { tool, permission, resource }: JsonObject,
  { line, signal }: Progress,
): Promise<JsonObject> {
  const over = new AbortController();
  const tell = async () => {
    line("asked; waiting for an operator");
    for (let seconds = 0; !over.signal.aborted;) {
      await clock.sleep(NEWS_MS, over.signal);
      seconds += NEWS_MS / 1000;
      line(`no answer for ${seconds} s; it is no after 300 s`);
    }
  };
  void tell().catch(() => {});
  try {
    const call = {
      tool: tool as string,
      permission: permission as Permission,
      resource: resource as string,
    };
    return { ...await proxy.approval(call, { signal, clock }) };
  } finally {
    over.abort();
  }
}
