// SPDX-License-Identifier: Apache-2.0

/**
 * Imports point one way (docs/design/architecture.md §2), every source file names its licence, and no
 * file outgrows one idea. Prints each breach as `file: why` and exits 1.
 */

/** Folder → the folders it may import from besides itself. `X/api` means only `api.ts` of X. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  homeserver: ["lib"],
  messaging: ["lib"],
  sandbox: ["lib"],
  proxy: ["lib"],
  observe: ["lib"],
  bridge: ["lib"],
  web: ["lib", "observe/api"],
  mcp: ["lib"],
  launcher: ["lib", "sandbox", "proxy/api", "observe/api"],
  // What agents tell is what it counts.
  services: ["lib", "agent"],
  daemon: ["lib", "messaging", "launcher/api", "proxy/api", "observe/api", "web/api"],
  cli: [
    "lib",
    // The protocol alone; what its tools do are the commands.
    "mcp",
    "messaging",
    // Planning is pure; only the launcher may run what it plans.
    "sandbox",
    "daemon/api",
    "launcher/api",
    "observe/api",
    "supervisor/api",
    "homeserver/api",
    "proxy/api",
    "agent/api",
    "services/api",
  ],
  supervisor: ["lib", "launcher/api"],
  cmd: [
    "lib",
    "homeserver",
    "launcher",
    "daemon",
    "proxy",
    "observe",
    "bridge",
    "web",
    "messaging",
    "sandbox",
    "cli",
    "supervisor",
    "agent",
  ],
  // The protocol alone; what its tools do is the proxy's.
  agent: ["lib", "mcp", "services/api"],
  tasks: [
    "lib",
    "messaging",
    "cli",
    "web",
    "services/api",
    "launcher/api",
    "daemon/api",
    "proxy/api",
    "supervisor/api",
  ],
};
const MAX_LINES = 400;

const root = import.meta.dirname!.replace(/\/tasks$/, "");
const breaches: string[] = [];

async function* sources(dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.ts$/.test(entry.name)) yield path;
  }
}

/** `src/daemon/x.ts` → `daemon`; `agent/…` → `agent`. */
function folderOf(path: string): string {
  const parts = path.slice(root.length + 1).split("/");
  return parts[0] === "src" ? parts[1]! : parts[0]!;
}

function check(path: string, text: string): void {
  const name = path.slice(root.length + 1);
  if (!/SPDX-License-Identifier: Apache-2\.0/.test(text.slice(0, 200))) {
    breaches.push(`${name}: no SPDX-License-Identifier header`);
  }
  const lines = text.split("\n").length;
  // Helpers of tests stand in `testing/` folders; like tests they may cross folders.
  const isTest = /_test\.ts$|\/testing\//.test(path);
  if (!isTest && lines > MAX_LINES + 1) {
    breaches.push(`${name}: ${lines} lines; past ${MAX_LINES} it holds two ideas`);
  }
  if (isTest) return;
  const from = folderOf(path);
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    const target = decodeURIComponent(
      new URL(match[1]!, `file://${encodeURI(path)}`).pathname,
    );
    const to = folderOf(target);
    if (to === from) continue;
    const allowed = ALLOWED[from] ?? [];
    const asApi = target.endsWith("/api.ts") && allowed.includes(`${to}/api`);
    if (!allowed.includes(to) && !asApi) {
      breaches.push(`${name}: imports ${match[1]} (${from} may not import ${to})`);
    }
  }
}

for (const dir of ["src", "agent", "tasks"]) {
  for await (const path of sources(`${root}/${dir}`)) check(path, await Deno.readTextFile(path));
}
if (breaches.length > 0) {
  console.error(breaches.sort().join("\n"));
  Deno.exit(1);
}
