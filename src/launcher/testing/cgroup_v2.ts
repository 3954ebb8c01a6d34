// SPDX-License-Identifier: Apache-2.0

/**
 * Runs in a mount namespace of its own, which has a version 2 hierarchy at the first argument: freezes, thaws and
 * kills two real processes there, and prints what the kernel said as one JSON line.
 */
import { createLogger } from "../../lib/log.ts";
import { Cgroups } from "../limits_cell.ts";
import { limitsOf } from "../limits.ts";

const place = `${Deno.args[0]!}/bureau-test-${crypto.randomUUID().slice(0, 8)}`;
await Deno.mkdir(place);
const cgroups = new Cgroups(
  { version: 2, dirs: { unified: place } },
  createLogger("test", {}, () => {}),
);
// It forks all the time: a kill that is not at once would leave some.
const busy = new Deno.Command("/bin/sh", {
  args: ["-c", "read go; while :; do /bin/true & wait; done"],
  stdin: "piped",
}).spawn();
try {
  await cgroups.enter(
    "h",
    "agent",
    busy.pid,
    limitsOf({}, { memory_limit_mb: 64, pids_limit: 40 }),
  );
  await busy.stdin.getWriter().write(new TextEncoder().encode("\n"));
  const before = await cgroups.usage("h");
  await cgroups.freeze("h", true);
  const frozen = await cgroups.usage("h");
  const later = await cgroups.usage("h");
  await cgroups.freeze("h", false);
  const thawed = await cgroups.usage("h");
  await cgroups.freeze("h", true);
  // Also from frozen.
  await cgroups.kill("h");
  const { signal } = await busy.status;
  await cgroups.remove("h");
  const left = [...Deno.readDirSync(place)].filter((entry) => entry.isDirectory).length;
  console.log(JSON.stringify({ before, frozen, later, thawed, signal, left }));
} finally {
  try {
    busy.kill("SIGKILL");
  } catch {
    // It has ended.
  }
  await cgroups.remove("h");
  await Deno.remove(place);
}
