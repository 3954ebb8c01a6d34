// SPDX-License-Identifier: Apache-2.0

/**
 * Every probe in a sandbox of the product: made by a launcher that serves, for a signed assignment, in its
 * tmux cell behind its proxy. Started by root (as the launcher's own user) and by an ordinary user.
 */
import assert from "node:assert/strict";
import { withLauncher } from "../../src/launcher/testing/harness.ts";
import { buildRuntime } from "../../src/launcher/testing/runtime.ts";
import { probes, probeScript, readResults } from "../../src/sandbox/probes/mod.ts";
import { type Group, runGroups } from "./groups.ts";
import { KNOWN_OPEN } from "./open.ts";
import { assertHeld } from "./verdicts.ts";

Deno.test("there are enough probes, each with a name of its own and a place to be looked up", async () => {
  assert.ok(probes.length >= 45, String(probes.length));
  const ids = probes.map(({ id }) => id);
  assert.deepEqual(ids.length, new Set(ids).size);
  for (const id of ids) {
    assert.match(id, /^[a-z0-9-]+$/);
    await Deno.stat(
      new URL(`../../src/sandbox/probes/${id.replaceAll("-", "_")}.ts`, import.meta.url),
    );
  }
  for (const id of KNOWN_OPEN) assert.ok(ids.includes(id), id);
});

for (const bridge of [false, true]) {
  const kind = `a sandbox ${bridge ? "with a bridge " : ""}that a launcher made`;
  Deno.test(`no probe gets out of ${kind}`, async () => {
    await withLauncher(async (bed) => {
      const workspace = await bed.workspace("prisoner");
      await Deno.mkdir(`${workspace}/.git/hooks`, { recursive: true });
      await Deno.mkdir(`${workspace}/.vscode`);
      for (const file of [".git/config", ".git/HEAD", ".envrc", ".vscode/tasks.json"]) {
        await Deno.writeTextFile(`${workspace}/${file}`, "");
      }
      await Deno.mkdir(`${workspace}/bureau`);
      await Deno.writeTextFile(`${workspace}/bureau/probes.sh`, probeScript(probes));
      if (Deno.uid() === 0) await give(workspace);
      const template = await bed.template(
        "prisoner",
        "sh /workspace/bureau/probes.sh >/workspace/bureau/out 2>&1",
      );
      await bed.create(
        "prisoner",
        await bed.request("prisoner", { template: { ...template, bridge } }),
      );
      const exit = await bed.wait("prisoner");
      assert.equal(exit.code, 0, exit.output.join("\n"));
      const text = await bed.read("prisoner", "bureau/out");
      assertHeld(`in ${kind}`, readResults(probes, text));
    });
  });
}

/** To whoever owns the workspace: root made what is in it. */
async function give(workspace: string): Promise<void> {
  const { uid, gid } = await Deno.stat(workspace);
  const { success } = await new Deno.Command("chown", {
    args: ["-R", `${uid}:${gid}`, workspace],
  }).output();
  assert.ok(success);
}

Deno.test("no probe gets out of a sandbox that an ordinary user started", async () => {
  const group: Group = {
    name: "held",
    kind: "held",
    without: [],
    flat: false,
    ids: probes.map(({ id }) => id),
  };
  const bridged = { ...group, name: "held-bridge", runtime: await buildRuntime() };
  for (
    const { group: { name }, results } of await runGroups(probes, [group, bridged], "ordinary")
  ) {
    assertHeld(`as an ordinary user (${name})`, results);
  }
});
