// SPDX-License-Identifier: Apache-2.0

/**
 * The positive controls: each probe once more, in the same sandbox without the one defence that it is about.
 * It must observe the breach there, or its silence elsewhere would mean nothing.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { probes } from "../../src/sandbox/probes/mod.ts";
import { controlGroups, type Group, runGroups } from "./groups.ts";
import { assertBreached, assertHeld } from "./verdicts.ts";
import { parseOptions, weaken } from "./weaken.ts";

/** Whether these processes are in a control group whose name could be learnt. */
async function isInNamedGroup(): Promise<boolean> {
  const groups = await Deno.readTextFile("/proc/self/cgroup");
  return groups.split("\n").some((line) => line !== "" && !line.endsWith(":/"));
}

Deno.test("each probe sees the breach once its defence is away", async (t) => {
  let groups = controlGroups(probes, "ordinary");
  if (!await isInNamedGroup()) {
    await skip(t, "no control for cgroup-names: nothing here is in a control group with a name");
    groups = groups.filter(({ without }) => !without.includes("own-cgroup"));
  }
  for (const { group, results } of await runGroups(probes, groups, "ordinary")) {
    assertBreached(`without ${String(group.without)}`, results);
  }
});

Deno.test("each probe that only root could get past sees the breach as root", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "these controls need root outside");
  const groups = controlGroups(probes, "root");
  for (const { group, results } of await runGroups(probes, groups, "root")) {
    assertBreached(`as root without ${String(group.without)}`, results);
  }
});

Deno.test("a root caller's capabilities stay outside", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root has any to keep");
  const group: Group = {
    name: "held-root",
    kind: "held",
    without: [],
    flat: true,
    ids: ["capabilities", "capabilities-of-root", "root-inside", "no-new-privileges"],
  };
  const [done] = await runGroups(probes, [group], "root");
  assertHeld("as root", done!.results);
});

Deno.test("weaken() takes away what it says and nothing else", () => {
  const making = {
    cell: ["--unshare-all", "--ro-bind", "/usr", "/usr"],
    agent: ["--unshare-all", "--disable-userns", "--ro-bind", "/usr", "/usr", "--remount-ro", "/"],
    start: "exec /usr/bin/bwrap --args 3 3</cell/nested.args",
  };
  const props = { etc: "/e", bwrap: "/b", setuidBwrap: "/s" };
  const without = weaken(making, ["no-nesting"], { "/srv/x": "/host/x" }, props);
  assert.deepEqual(parseOptions(without.agent), [
    ["--unshare-all"],
    ["--ro-bind", "/usr", "/usr"],
    ["--ro-bind", "/source/exposed/srv/x", "/srv/x"],
    ["--remount-ro", "/"],
  ]);
  assert.deepEqual(without.cell.slice(-3), ["--ro-bind", "/host/x", "/source/exposed/srv/x"]);
  assert.equal(without.start, making.start);
  // What is not there can't be taken away: a control that weakens nothing would pass for a defence.
  assert.throws(() => weaken(making, ["new-session"], {}, props), /new-session/);
});
