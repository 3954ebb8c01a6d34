// SPDX-License-Identifier: Apache-2.0

/**
 * `sandbox explain`: the plan that the launcher makes, in words. Nothing is started, and no right of the
 * launcher's is needed: what this process may not look at is taken to be what the template says.
 */
import * as z from "zod/mini";
import { LauncherPolicy } from "../../launcher/api.ts";
import { stateKey, type TemplateRef } from "../../lib/ref/mod.ts";
import { type Assignment, EventType, parseEvent, type Template } from "../../lib/schema/mod.ts";
import {
  instantiate,
  resolveTemplate,
  type Variables,
  variablesOf,
} from "../../lib/template/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import {
  type DeviceNode,
  explainPlan,
  explanationText,
  type MachineFacts,
  type PathInfo,
  planSandbox,
} from "../../sandbox/mod.ts";
import { closureFile } from "../environment/generations.ts";
import { readJson } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, type OperatorSession, principalOf } from "../session.ts";
import type * as results from "./results.ts";

/** What stands for a group of devices where this process may not look for its nodes. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "/dev/dri/renderD*": ["/dev/dri/renderD128"],
  "/dev/nvidia*": ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"],
};

interface Subject {
  readonly template: Template;
  /** Null for a template by itself. */
  readonly assignment: Assignment | null;
  readonly principal: string | null;
}

export const explain: CommandHandler<typeof results.explain> = async (call) => {
  const session = await loadSession(call);
  const policy = await readPolicy(call);
  const { template, assignment, principal } = await subjectOf(call, session);
  const given = { ...assignment?.variables, ...givenVariables(call) };
  const stand = standIns(template, given, policy);
  const spec = instantiate(template, assignment ?? {}, { ...given, ...stand });
  const assumed = new Set<string>();
  const plan = await planSandbox(spec, policy.bind_roots, (path) => look(path, stand, assumed), {
    ...facts(call.stateDir, policy),
    // A template alone is explained as if the exception were made; a principal must have it.
    passthrough: principal === null || policy.passthrough.includes(principal),
  });
  const pidsLimit = spec.resources.pids_limit ?? policy.limits.pids_limit;
  const {
    memory_limit_mb: memory,
    cpu_quota_percent: cpu = policy.limits.cpu_quota_percent,
    io_mb_per_second: io,
  } = spec.resources;
  const explanation = explainPlan(plan, {
    pidsLimit,
    ...(memory === undefined ? {} : { memoryLimitMb: memory }),
    ...(cpu === undefined ? {} : { cpuQuotaPercent: cpu }),
    ...(io === undefined ? {} : { ioMbPerSecond: io }),
    egress: spec.egress.allow,
    services: Object.keys(spec.proxy_services),
  });
  for (const line of explanationText(explanation)) call.print(nameVariables(line, stand));
  const unseen = [...assumed].filter((path) => !Object.values(stand).includes(path)).length;
  if (unseen > 0) {
    call.print("");
    call.print(
      `${unseen} paths can't be looked at from here and are taken to be directories; the launcher looks before it starts`,
    );
  }
  return JSON.parse(nameVariables(JSON.stringify({ plan, ...explanation }), stand));
};

async function readPolicy(call: Invocation): Promise<LauncherPolicy> {
  const path = `${call.stateDir}/operator/policy.json`;
  const parsed = z.safeParse(LauncherPolicy, await readJson(path));
  if (parsed.success) return parsed.data;
  throw new CliError("no-policy", `Cannot use the policy "${path}"`, {
    hint: "run `deno task up`, which writes it",
  });
}

function givenVariables(call: Invocation): Record<string, string> {
  const given: Record<string, string> = {};
  for (const pair of (call.flags["var"] as readonly string[] | undefined) ?? []) {
    const at = pair.indexOf("=");
    if (at < 1) {
      throw new CliError("usage", `Cannot explain: --var takes NAME=VALUE, not "${pair}"`);
    }
    given[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return given;
}

/** A template's reference has a colon and no sigil; everything else is a principal. */
async function subjectOf(call: Invocation, session: OperatorSession): Promise<Subject> {
  const text = call.args[0]!;
  const client = matrixClient(session);
  if (text.includes(":") && !text.startsWith("@")) {
    return {
      template: await fetchTemplate(client, session, text, []),
      assignment: null,
      principal: null,
    };
  }
  const principal = principalOf(session, text);
  const room = await aliasRoom(client, session, session.machine);
  const key = stateKey(principal, session.server_name);
  const content = await client.getState(room, EventType.assignment, key);
  const assignment = content === null ? null : parseEvent(EventType.assignment, content);
  if (assignment === null) {
    throw new CliError("no-such-agent", `Cannot explain "${principal}": it is not assigned here`, {
      status: 404,
      hint: "`bureau agent list` shows the agents; a template is written ROOM:NAME",
    });
  }
  const template = await fetchTemplate(
    client,
    session,
    assignment.template,
    assignment.extra_inherits ?? [],
  );
  return { template, assignment, principal };
}

async function aliasRoom(client: MatrixClient, session: OperatorSession, localpart: string) {
  const alias = `#${localpart}:${session.server_name}`;
  const id = await client.resolveAlias(alias);
  if (id !== null) return id;
  throw new CliError("no-such-room", `Cannot find the room "${alias}"`, {
    status: 404,
    hint: "`bureau sandbox explain bureau/template:agent` explains a built-in one",
  });
}

async function fetchTemplate(
  client: MatrixClient,
  session: OperatorSession,
  reference: string,
  extra: readonly string[],
): Promise<Template> {
  return await resolveTemplate(reference, async (ref: TemplateRef) => {
    const room = await aliasRoom(client, session, ref.room);
    const content = await client.getState(room, EventType.template, ref.name);
    const template = content === null ? null : parseEvent(EventType.template, content);
    if (template !== null) return template;
    throw new CliError("no-such-template", `Cannot find the template "${ref.room}:${ref.name}"`, {
      status: 404,
    });
  }, extra);
}

/** A path below a bind root for each variable that nobody gave: it is shown as `${NAME}` again. */
function standIns(template: Template, given: Variables, policy: LauncherPolicy): Variables {
  const root = policy.bind_roots.find(({ mode }) => mode === "rw") ?? policy.bind_roots[0];
  const names = new Set(variablesOf(JSON.stringify(template)));
  return Object.fromEntries(
    [...names].filter((name) => !Object.hasOwn(given, name))
      .map((name) => [name, `${root?.path ?? ""}/variable-${name}`]),
  );
}

function nameVariables(text: string, stand: Variables): string {
  return Object.entries(stand).reduce(
    (text, [name, value]) => text.replaceAll(value, `\${${name}}`),
    text,
  );
}

async function look(
  path: string,
  stand: Variables,
  assumed: Set<string>,
): Promise<PathInfo | null> {
  // Nothing protected lies in what isn't known yet.
  if (Object.values(stand).some((value) => path.startsWith(`${value}/`))) return null;
  const invented = Object.values(stand).includes(path);
  const { state } = Deno.permissions.querySync({ name: "read", path });
  if (!invented && state === "granted") {
    try {
      return await Deno.lstat(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return null;
      // Another user's: the launcher's may be able to.
    }
  }
  assumed.add(path);
  return { isDirectory: true, isFile: false, isSymlink: false };
}

function facts(stateDir: string, policy: LauncherPolicy): MachineFacts {
  return {
    allowedDevices: policy.devices ?? [],
    seccomp: policy.seccomp ?? [],
    findDevices: (patterns) =>
      Promise.resolve(
        patterns.flatMap((pattern) => EXAMPLES[pattern] ?? [pattern])
          .map((path): DeviceNode => ({ path, kind: "character" })),
      ),
    readText: async (path) => {
      const text = await closureFile(stateDir, path);
      if (text !== null) return text;
      throw new CliError("not-readable", `Cannot read the closure "${path}" from here`, {
        hint: "the launcher reads it when the agent starts",
      });
    },
  };
}
