// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { SandboxRequest } from "../api.ts";
import { directoryFor, planRun } from "./run.ts";
import { runScript, startRunScript } from "./script.ts";

const request = (change: Partial<SandboxRequest>): SandboxRequest => ({
  template: { command: ["/bin/sh"] },
  binds: [],
  command: [],
  terminal: false,
  ...change,
});

Deno.test("directoryFor() is where the caller stood, as the deepest bind names it", () => {
  const binds = [
    { source: "/home/ada", dest: "/home/ada", mode: "ro" as const },
    { source: "/home/ada/work", dest: "/workspace", mode: "rw" as const },
  ];
  const at = (directory?: string) =>
    directoryFor(request({ binds, ...(directory === undefined ? {} : { directory }) }));
  assert.equal(at("/home/ada/work/deep"), "/workspace/deep");
  assert.equal(at("/home/ada/work"), "/workspace");
  assert.equal(at("/home/ada/workshop"), "/home/ada/workshop");
  assert.equal(at("/srv"), undefined);
  assert.equal(at(), undefined);
});

Deno.test("planRun() refuses what an agent's plan refuses: reserved places, links, no isolation", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-plan" });
  await Deno.mkdir(`${dir}/real`);
  await Deno.symlink(`${dir}/real`, `${dir}/link`);
  const bind = (source: string, dest: string) => request({ binds: [{ source, dest, mode: "rw" }] });
  const { plan } = await planRun(bind(`${dir}/real`, "/workspace"));
  assert.ok(plan.mounts.some((mount) => mount.dest === "/workspace"));
  await assert.rejects(planRun(bind(`${dir}/real`, "/usr/x")), /\/usr belongs to the sandbox/);
  await assert.rejects(planRun(bind(`${dir}/link`, "/workspace")), /symbolic link/);
  await assert.rejects(
    planRun(request({ template: { command: ["/bin/sh"], isolation: "none" } })),
    /isolation "none"/,
  );
  await Deno.remove(dir, { recursive: true });
});

Deno.test("the scripts of a run are right in their shell's eyes", async () => {
  const hostile = ["printf", "it's", "$(touch /tmp/x)", "`id`", "a\nb", "--"];
  for (const terminal of [true, false]) {
    for (const script of [runScript(terminal), startRunScript(hostile, 64, terminal)]) {
      const process = new Deno.Command("/bin/bash", {
        args: ["-n"],
        stdin: "piped",
        stderr: "piped",
        stdout: "null",
      }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(new TextEncoder().encode(script));
      await writer.close();
      const { success, stderr } = await process.output();
      assert.ok(success, new TextDecoder().decode(stderr));
    }
  }
});
