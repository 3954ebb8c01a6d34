// SPDX-License-Identifier: Apache-2.0

/**
 * Writes `docs/reference/` from the code, or with `--check` says what is out of date. Also checks
 * that every relative link of every Markdown file leads somewhere.
 */
import { commands } from "../src/cli/commands.ts";
import { inputSchema } from "../src/cli/framework/command.ts";
import { renderReference } from "../src/cli/framework/reference.ts";
import { daemonApi } from "../src/daemon/api.ts";
import { launcherApi } from "../src/launcher/api.ts";
import type { Api } from "../src/lib/http/api.ts";
import { openapi } from "../src/lib/http/openapi.ts";
import { parseGrants, ROLES } from "../src/lib/process/mod.ts";
import { proxyAdminApi, proxyAgentApi } from "../src/proxy/api.ts";
import { supervisorApi } from "../src/supervisor/api.ts";

const root = import.meta.dirname!.replace(/\/tasks$/, "");
const check = Deno.args.includes("--check");
const problems: string[] = [];

const apis: Record<string, Api> = {
  daemon: daemonApi,
  launcher: launcherApi,
  "proxy-admin": proxyAdminApi,
  "proxy-agent": proxyAgentApi,
  supervisor: supervisorApi,
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
  const names = ["STATE", "RUN", "RUNTIME", "DENO", "LISTEN", "AUTHORITY", "HOMESERVER", "REPO"];
  const values = Object.fromEntries(names.map((name) => [name, `<${name.toLowerCase()}>`]));
  const grants = parseGrants(
    await Deno.readTextFile(`${root}/tasks/grants.txt`),
    values as unknown as Parameters<typeof parseGrants>[1],
  );
  const lines = [
    "# Permission sets",
    "",
    "Generated from `deno.json` and `tasks/grants.txt`. A process has nothing that is not listed here;",
    "`bureau status --permissions` prints the same with this machine's paths.",
    "",
  ];
  for (const role of ROLES) {
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

await Deno.mkdir(`${root}/docs/reference`, { recursive: true });
for (const [name, api] of Object.entries(apis)) {
  await emit(`openapi-${name}.json`, JSON.stringify(openapi(api), null, 2) + "\n");
}
await emit("permissions.md", await renderPermissions());
await emit("cli.md", renderReference());
await emit(
  "cli.schema.json",
  JSON.stringify(
    Object.fromEntries(
      commands.filter((spec) => !spec.hidden)
        .map((spec) => [spec.path.join(" "), inputSchema(spec)]),
    ),
    null,
    2,
  ) + "\n",
);
await checkLinks();
if (problems.length > 0) {
  console.error(problems.join("\n"));
  Deno.exit(1);
}
