// SPDX-License-Identifier: Apache-2.0

/** What there is to choose from, and what a template asks for. */
import { EventType, parseEvent, type Template } from "../../../lib/schema/mod.ts";
import type { MatrixClient } from "../../../messaging/mod.ts";
import { CliError } from "../../framework/exit.ts";
import type { OperatorSession } from "../../session.ts";

/** Parts of others, or for others: nobody starts with one. */
const NOT_OFFERED = [
  "agent",
  "agent-service",
  "base",
  "networked",
  "passthrough",
  "scribe",
  "service",
];

/** Templates of the namespace that are a program of their own. */
export async function offeredTemplates(
  client: MatrixClient,
  session: OperatorSession,
): Promise<{ name: string; brief: string }[]> {
  const alias = `#${session.namespace}/template:${session.server_name}`;
  const room = await client.resolveAlias(alias);
  const state = room === null ? [] : await client.roomState(room);
  const offered = state.flatMap(({ type, state_key, content }) => {
    if (type !== EventType.template || NOT_OFFERED.includes(state_key)) return [];
    const template = parseEvent(EventType.template, content);
    return template === null ? [] : [{ name: state_key, brief: template.description ?? "" }];
  });
  if (offered.length > 0) return offered.sort((a, b) => a.name.localeCompare(b.name));
  throw new CliError("no-templates", `Cannot find a template in "${alias}"`, {
    status: 404,
    hint: "`bureau matrix setup` puts the built-in ones there",
  });
}

export function wantsRepository(template: Template): boolean {
  return JSON.stringify(template).includes("${WORKSPACE}");
}

/** That the template may reach without asking, as an offer for where its key may be sent. */
export function hostsOf(template: Template): string[] {
  return (template.egress?.allow ?? [])
    .map((entry) => typeof entry === "string" ? entry : entry.host)
    .filter((host) => /^[a-z0-9.-]+:\d+$/.test(host));
}

/** As a person would type it. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) =>
    /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
  ).join(" ");
}
