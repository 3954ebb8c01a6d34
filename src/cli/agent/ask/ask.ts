// SPDX-License-Identifier: Apache-2.0

/**
 * What `agent create` needs, asked on a terminal. `tasks/agent_ask.sh` then runs the command that comes of it, with the
 * permissions of that command: a repository's path is one. Prints lines for it: `arg WORD`, `egress preset:NAME`,
 * `dry-run -` and `credentials JSON`.
 */
import { stateKey } from "../../../lib/ref/mod.ts";
import { EventType, parseEvent, type Template } from "../../../lib/schema/mod.ts";
import { EGRESS_PRESETS } from "../../../lib/template/mod.ts";
import type { MatrixClient } from "../../../messaging/mod.ts";
import { asCalled } from "../../framework/called.ts";
import type { CommandHandler } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
} from "../../session.ts";
import { fetchTemplate } from "../create.ts";
import { parseCredentials, type SealedInput } from "../credentials.ts";
import { commandLine, hostsOf, offeredTemplates, wantsRepository } from "./offered.ts";
import { Questions } from "./terminal.ts";

export const ask: CommandHandler = async (call) => {
  if (!Deno.stdin.isTerminal() || call.json) {
    throw new CliError("usage", "Cannot create: NAME is missing", {
      hint: "give it, for example `bureau agent create agent/second`; on a terminal you are asked",
    });
  }
  const session = await loadSession(call);
  await loadSigningKey(call);
  const client = matrixClient(session);
  const questions = new Questions(call.signal);
  questions.say(
    "An agent in a few questions; an empty line takes what stands in brackets, ctrl-C leaves.",
  );

  const offered = await offeredTemplates(client, session);
  const name = await questions.choose(
    "Template",
    offered,
    offered.some((one) => one.name === "agent-shell") ? "agent-shell" : offered[0]!.name,
  );
  const template = await fetchTemplate(
    client,
    session,
    `${session.namespace}/template:${name}`,
    [],
  );
  const agent = await askName(questions, client, session);
  const repo = wantsRepository(template)
    ? await questions.line("Git repository that it gets a clone of (empty: none)", "")
    : "";
  const credentials = await askCredentials(questions, template);
  questions.say(
    "Besides what its template says, it may reach the hosts of one of these lists; all else it asks for:",
  );
  const preset = await questions.choose("List", [
    { name: "none", brief: "nothing more" },
    ...Object.entries(EGRESS_PRESETS).map(([name, { brief }]) => ({ name, brief })),
  ], "none");

  const words = [agent, "--template", name, ...(repo === "" ? [] : ["--repo", repo]), "--wait"];
  questions.say("\nThe same without questions:");
  const file = credentials === null ? [] : ["--credentials", "FILE"];
  questions.say(asCalled(`  bureau agent create ${commandLine([...words, ...file])}`));
  if (preset !== "none") questions.say(asCalled(`  bureau egress allow ${agent} preset:${preset}`));
  const go = await questions.line(
    "Create it? yes, no, or dry-run",
    "yes",
    (answer) => ["yes", "no", "dry-run"].includes(answer) ? null : "yes, no or dry-run",
  );
  if (go === "no") throw new CliError("cancelled", "Cancelled: nothing was changed");

  for (const word of words) call.emit(`arg ${word}`);
  if (go === "dry-run") call.emit("dry-run -");
  else if (preset !== "none") call.emit(`egress preset:${preset}`);
  if (credentials !== null) call.emit(`credentials ${JSON.stringify(credentials)}`);
};

/** A name that is free: another one's assignment is changed by its own command, not by mistake. */
async function askName(
  questions: Questions,
  client: MatrixClient,
  session: OperatorSession,
): Promise<string> {
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  return await questions.line("Name", "agent/mine", async (answer) => {
    if (!/^(agent\/)?[a-z0-9][a-z0-9_-]{0,31}$/.test(answer)) {
      return "lower-case letters, digits and hyphens, such as agent/mine";
    }
    const key = stateKey(principalOf(session, answer), session.server_name);
    const content = room === null ? null : await client.getState(room, EventType.assignment, key);
    const assigned = content === null ? null : parseEvent(EventType.assignment, content);
    return assigned === null || assigned.desired === "absent"
      ? null
      : `there is "${answer}" already: give another name`;
  });
}

/** Plain values; a login of another kind comes from a file. */
async function askCredentials(
  questions: Questions,
  template: Template,
): Promise<SealedInput | null> {
  const required = template.required_credentials ?? [];
  if (required.length === 0) return null;
  questions.say(
    "It needs credentials. They are sealed to this machine: its proxy uses them, and it never sees them.",
  );
  const hosts = hostsOf(template);
  const given: Record<string, unknown> = {};
  for (const name of required) {
    const value = await questions.secret(`Value of ${name} (an API key; not shown)`);
    const allowed = await questions.line(
      `Hosts that ${name} may be sent to, with commas`,
      hosts.join(","),
      (answer) => answer === "" ? "name at least one, such as api.example.org:443" : null,
    );
    given[name] = { value, allowed_hosts: allowed.split(",").map((host) => host.trim()) };
  }
  return parseCredentials(given);
}
