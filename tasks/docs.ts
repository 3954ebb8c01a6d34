// SPDX-License-Identifier: Apache-2.0

/**
 * Writes `docs/reference/` from the code, or with `--check` says what is out of date. Also checks
 * that every relative link of every Markdown file leads somewhere.
 */
import { commands } from "../src/cli/commands.ts";
import { inputSchema } from "../src/cli/framework/command.ts";
import { breaksOf, type CommandSchemas } from "../src/cli/framework/compatible.ts";
import { renderReference } from "../src/cli/framework/reference.ts";
import { jsonSchemaOf, outputSchemas } from "../src/cli/mcp/outputs.ts";
import { daemonApi } from "../src/daemon/api.ts";
import { launcherApi } from "../src/launcher/api.ts";
import type { Api } from "../src/lib/http/api.ts";
import * as z from "zod/mini";
import { MachineFile, settingNames, SETTINGS, variableOf } from "../src/lib/config/mod.ts";
import { openapi } from "../src/lib/http/openapi.ts";
import { METRICS } from "../src/lib/metrics/mod.ts";
import { EGRESS_PRESETS } from "../src/lib/template/mod.ts";
import { parseGrants, ROLES } from "../src/lib/process/mod.ts";
import { matrixEndpoints, proxyAdminApi, proxyAgentApi } from "../src/proxy/api.ts";
import { agentServiceApi } from "../src/services/agent/api.ts";
import { supervisorApi } from "../src/supervisor/api.ts";
import { renderEvents } from "./reference/events.ts";
import { type Interface, renderIndex } from "./reference/index.ts";

const root = import.meta.dirname!.replace(/\/tasks$/, "");
const check = Deno.args.includes("--check");
const problems: string[] = [];

const interfaces: Readonly<Record<string, Interface>> = {
  "agent-service": {
    api: agentServiceApi,
    socket: "/run/bureau/service/agent.sock",
    mode: "0660",
    who: "agents whose template names the role `agent`, each with a token of the daemon's",
  },
  daemon: {
    api: daemonApi,
    socket: "daemon/daemon.sock",
    mode: "0660",
    who:
      "the operator's user and `web`; every request but `health` with a Matrix access token, which the homeserver is asked about",
  },
  launcher: {
    api: launcherApi,
    socket: "launcher/launcher.sock",
    mode: "0660",
    who: "the daemon and the supervisor; what shall run carries an operator's signature",
  },
  "proxy-admin": {
    api: proxyAdminApi,
    socket: "p/<hash>/admin/admin.sock",
    mode: "0660",
    who: "the daemon",
  },
  "proxy-agent": {
    api: proxyAgentApi,
    socket: "/run/bureau/proxy.sock",
    mode: "0660",
    who: "the programs of one sandbox; the socket says who they are",
  },
  supervisor: { api: supervisorApi, socket: "up/up.sock", mode: "0600", who: "who ran `up`" },
};

async function emit(name: string, text: string): Promise<void> {
  const path = `${root}/docs/reference/${name}`;
  const present = await Deno.readTextFile(path).catch(() => null);
  if (present === text) return;
  if (check) problems.push(`docs/reference/${name}: out of date; run \`deno task docs\``);
  else await Deno.writeTextFile(path, text);
}

/** The table of architecture §1, as it is enforced. */
async function renderPermissions(): Promise<string> {
  const { permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`)) as {
    permissions: Record<string, Record<string, unknown>>;
  };
  const text = await Deno.readTextFile(`${root}/tasks/grants.txt`);
  // A line whose value nobody has grants nothing; here all of them are shown.
  const values = Object.fromEntries(
    [...text.matchAll(/@([A-Z]+)/g)].map(([, name]) => [name, `<${name!.toLowerCase()}>`]),
  );
  const grants = parseGrants(
    text,
    values as unknown as Parameters<typeof parseGrants>[1],
  );
  const lines = [
    "# Permission sets",
    "",
    "Generated from `deno.json` and `tasks/grants.txt`. A process has nothing that is not listed here;",
    "`bureau status --permissions` prints the same with this machine's paths. `<socket>`, `<credentials>`, `<mcp>` and",
    "`<fabric>`, `<mail>`, `<approver>`, `<hostdir>` are what one command line names, and absent from others; `<workers>` is `<hostdir>` of the host",
    "of workers itself. A worker is also given its `fabric_dir`,",
    "`storage_dir` and sockets by its parent, one by one, as its spec names them; `native` and",
    "`agent-service` are programs in sandboxes, whose walls those are.",
    "",
  ];
  const inSandboxes = Object.keys(permissions).filter((name) =>
    !ROLES.some((role) => role === name)
  );
  for (const role of [...ROLES, ...inSandboxes]) {
    lines.push(`## ${role}`, "", "| kind | value | from |", "|---|---|---|");
    for (const [kind, value] of Object.entries(permissions[role] ?? {})) {
      const list = value === true ? ["(all)"] : value as string[];
      for (const item of list) lines.push(`| ${kind} | \`${item}\` | static set |`);
    }
    for (const grant of grants.filter((grant) => grant.role === role)) {
      lines.push(`| ${grant.flag} | \`${grant.value}\` | this machine |`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

/**
 * What a proxy answers on `/v1/openapi.json`. A function's text costs a process that never calls it nothing
 * but its bytes; the schemas it is made from would cost each principal 9 MB.
 */
function renderOpenapiText(api: Api): string {
  return "// SPDX-License-Identifier: Apache-2.0\n\n" +
    "/** Generated by `deno task docs`: `proxyAgentApi` as OpenAPI. */\n" +
    "export function openapiText(): string {\n" +
    "  // deno-fmt-ignore\n" +
    `  return ${JSON.stringify(JSON.stringify(openapi(api)))};\n}\n`;
}

/** `/_matrix/…` of a proxy. */
function renderMatrixEndpoints(): string {
  const lines = [
    "# Matrix endpoints for stock clients",
    "",
    "Generated from `src/proxy/matrix/table.ts`. These, and no others, pass a principal's proxy as they are",
    "([the guide](../guide/matrix.md)); `r0` in the place of `v3` is taken too. `{self}` is the principal's own user id.",
    "Names of other servers need `matrix/federate/<server>` besides.",
    "",
    "| method | path | grant |",
    "|---|---|---|",
  ];
  for (const { method, path, action } of matrixEndpoints) {
    lines.push(`| ${method} | \`${path}\` | ${action === null ? "none" : `\`${action}\``} |`);
  }
  return lines.join("\n") + "\n";
}

/** `preset:<name>` of an egress policy. */
function renderPresets(): string {
  const lines = [
    "# Egress presets",
    "",
    "Generated from `src/lib/template/presets.ts`. `preset:<name>` stands for these hosts wherever an egress",
    "policy takes `host:port`; see [the guide](../guide/egress.md).",
    "",
    "| preset | for | hosts | documented at |",
    "|---|---|---|---|",
  ];
  for (const [name, { brief, hosts, source }] of Object.entries(EGRESS_PRESETS)) {
    const list = hosts.map((host) => `\`${host}\``).join(" ");
    lines.push(`| \`preset:${name}\` | ${brief} | ${list} | ${source} |`);
  }
  return lines.join("\n") + "\n";
}

/** What processes tell of themselves. */
function renderMetrics(): string {
  const lines = [
    "# Metrics",
    "",
    "Generated from `src/lib/metrics/catalogue.ts`. The daemon's answer has the label `process` on all of them, and `principal` on those of a",
    "process that works for one; see [the guide](../guide/metrics.md).",
    "",
    "| name | type | labels | what it is |",
    "|---|---|---|---|",
  ];
  for (const [name, { type, labels, help }] of Object.entries(METRICS)) {
    const named = labels.map((label) => `\`${label}\``).join(", ");
    lines.push(`| \`${name}\` | ${type} | ${named} | ${help} |`);
  }
  return lines.join("\n") + "\n";
}

/** `bureau.yaml`. */
function renderConfig(): string {
  const lines = [
    "# Configuration of a machine",
    "",
    "Generated from `src/lib/config/machine.ts`. Settings stand in `<state>/operator/bureau.yaml`, one `name: value` a line;",
    "a variable of the environment comes before the file, and a flag of `up` before both. See [the guide](../guide/configuration.md).",
    "",
    "| setting | variable | flag | default | what it is |",
    "|---|---|---|---|---|",
  ];
  for (const name of settingNames) {
    const { flag, brief, default: usual } = SETTINGS[name];
    lines.push(`| \`${name}\` | \`${variableOf(name)}\` | \`${flag}\` | ${usual} | ${brief} |`);
  }
  const schema = z.toJSONSchema(MachineFile, { unrepresentable: "any" });
  lines.push(
    "",
    "`notify` is a list of whom to tell when an agent needs a person: [the guide](../guide/attention.md) has its fields. `metrics` and `telemetry` say where they are told beside the daemon's socket: [the guide](../guide/metrics.md).",
    "",
    "As a JSON Schema, for editors:",
    "",
    "```json",
    JSON.stringify(schema, null, 2),
    "```",
  );
  return lines.join("\n") + "\n";
}

async function* markdown(dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(dir)) {
    if (entry.name.startsWith(".") || ["dist", "node_modules"].includes(entry.name)) continue;
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) yield* markdown(path);
    else if (entry.name.endsWith(".md")) yield path;
  }
}

async function checkLinks(): Promise<void> {
  for await (const path of markdown(root)) {
    const text = (await Deno.readTextFile(path)).replace(/```[\s\S]*?```/g, "");
    for (const match of text.matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g)) {
      const target = match[1]!;
      if (/^[a-z]+:/.test(target)) continue;
      const full = decodeURIComponent(new URL(target, `file://${encodeURI(path)}`).pathname);
      if (await Deno.stat(full).catch(() => null) === null) {
        problems.push(`${path.slice(root.length + 1)}: dead link ${target}`);
      }
    }
  }
}

/** What each command takes, and what it gives with `--json`: one document, or one a line. */
async function commandSchemas(): Promise<Record<string, CommandSchemas & { raw?: string }>> {
  const outputs = await outputSchemas(commands);
  const shown = await Promise.all(
    commands.filter((spec) => !spec.hidden).map(async (spec) => {
      const name = spec.path.join(" ");
      const { line, raw } = spec;
      return [name, {
        input: inputSchema(spec),
        output: outputs.get(name),
        ...(line === undefined ? {} : { line: jsonSchemaOf(await line()) }),
        ...(raw === undefined ? {} : { raw }),
      }] as const;
    }),
  );
  return Object.fromEntries(shown) as Record<string, CommandSchemas>;
}

/** Scripts are written for what stands here: a field is added at any time, and taken away by decision alone. */
async function emitCommandSchemas(): Promise<void> {
  const name = "cli.schema.json";
  const schemas = await commandSchemas();
  const text = await Deno.readTextFile(`${root}/docs/reference/${name}`).catch(() => "{}");
  const breaks = Deno.args.includes("--breaking") ? [] : breaksOf(JSON.parse(text), schemas);
  for (const what of breaks) problems.push(`docs/reference/${name}: ${what}`);
  if (breaks.length === 0) return await emit(name, JSON.stringify(schemas, null, 2) + "\n");
  problems.push(
    "Scripts that work now would fail. If it must be: `deno task docs --breaking`, and a line in CHANGELOG.md",
  );
}

await Deno.mkdir(`${root}/docs/reference`, { recursive: true });
for (const [name, { api }] of Object.entries(interfaces)) {
  await emit(`openapi-${name}.json`, JSON.stringify(openapi(api), null, 2) + "\n");
}
await emit("../../src/proxy/openapi_text.ts", renderOpenapiText(proxyAgentApi));
await emit("matrix-passthrough.md", renderMatrixEndpoints());
await emit("permissions.md", await renderPermissions());
await emit("egress-presets.md", renderPresets());
await emit("config.md", renderConfig());
await emit("metrics.md", renderMetrics());
await emit("cli.md", renderReference());
await emitCommandSchemas();
const { events, templates, undescribed } = await renderEvents();
await emit("events.md", events);
await emit("templates.md", templates);
await emit("README.md", renderIndex(interfaces));
for (const field of undescribed) {
  problems.push(`src/lib/schema: ${field} has no comment that says what it is`);
}
await checkLinks();
if (problems.length > 0) {
  console.error(problems.join("\n"));
  Deno.exit(1);
}
