// SPDX-License-Identifier: Apache-2.0

/** Idle memory of each process of a running Bureau with its example agent: private dirty and PSS. */
import { commandLine, eventually, withBureau } from "../e2e/harness.ts";
import { roomId, SCRIBE, stateEvents } from "../e2e/matrix.ts";
import { memoryOf, report, skip } from "./report.ts";

const ROLES = ["homeserver", "launcher", "daemon", "proxy", "authority", "up"] as const;

await withBureau(async (bureau) => {
  const started = await bureau.up("--detach");
  if (started.code !== 0) throw new Error(started.stderr);
  const room = await roomId(bureau, SCRIBE);
  await eventually(
    "the report",
    async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
    30_000,
  );
  const idle = await idleDeno();
  report({
    id: "deno.memory",
    value: idle.privateMb,
    unit: "MB",
    note: `an empty Deno process; PSS ${idle.pssMb.toFixed(1)} MB`,
  });
  for (const role of ROLES) {
    const pid = await pidOf(role, bureau.stateDir);
    if (pid === null) {
      skip(`${role}.memory`, "its process was not found");
      continue;
    }
    const { privateMb, pssMb } = await memoryOf(pid);
    report({
      // Its first upstream was the homeserver.
      id: role === "proxy" ? "proxy.memory.used" : `${role}.memory`,
      value: privateMb,
      unit: "MB",
      alternative: { name: "empty Deno", value: idle.privateMb },
      note: `PSS ${pssMb.toFixed(1)} MB`,
    });
  }
});

/** A proxy's command line holds in-cell paths only, so it is found by its bundle's name. */
async function pidOf(role: string, stateDir: string): Promise<number | null> {
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const line = await commandLine(Number(entry.name));
    const bundle = role === "proxy"
      ? "/opt/bureau/proxy.js"
      : role === "up"
      ? `runtime/up.js`
      : `${stateDir}/runtime/${role}.js`;
    if (line.includes(bundle) && /^\S*deno /.test(line)) return Number(entry.name);
  }
  return null;
}

async function idleDeno(): Promise<{ privateMb: number; pssMb: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--v8-flags=--max-semi-space-size=1", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(
      "console.log('up'); await new Promise(() => setInterval(() => {}, 1e6));",
    ),
  );
  await writer.close();
  await child.stdout.getReader().read();
  const memory = await memoryOf(child.pid);
  child.kill("SIGKILL");
  await child.status;
  return memory;
}
