// SPDX-License-Identifier: Apache-2.0

/** Whoever can rename what a sandbox binds, between the check and the mount, gets nothing by it. */
import assert from "node:assert/strict";
import { instantiate } from "../lib/template/mod.ts";
import {
  boundScript,
  encodeArguments,
  planSandbox,
  type SandboxPlan,
  tmuxCellArguments,
} from "../sandbox/mod.ts";
import { directoriesOf, makeDirectories, writeCellFiles } from "./directories.ts";
import { withLauncher } from "./testing/harness.ts";

const ROUNDS = 12;

/** What the start script's check says in a tmux cell of this plan, and what is bound there. */
async function inTmuxCell(dir: string, plan: SandboxPlan): Promise<{ code: number; text: string }> {
  await makeDirectories(dir, "h", "x");
  await writeCellFiles(dir, "h", { plan, spec: { payload: {} }, pidsLimit: 64 });
  await Deno.writeFile(
    `${dir}/args`,
    encodeArguments(tmuxCellArguments(plan, directoriesOf(dir, "h"))),
  );
  const script = "cat /source/0/mark; [ ! -e /cell/bound.sh ] || . /cell/bound.sh";
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `exec /usr/bin/bwrap --args 3 -- /bin/sh -c '${script}' 3<${dir}/args`],
    cwd: "/",
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("a source that is swapped after it was checked is refused in the cell", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-s" });
  try {
    for (const name of ["asked", "other"]) {
      await Deno.mkdir(`${dir}/${name}`);
      await Deno.writeTextFile(`${dir}/${name}/mark`, `${name}\n`);
    }
    const spec = instantiate({
      command: ["/bin/true"],
      filesystem: [{ source: `${dir}/asked`, dest: "/data" }],
    }, {});
    const lstat = (path: string) => Deno.lstat(path).catch(() => null);
    const plan = await planSandbox(spec, [{ path: dir, mode: "ro" }], lstat);
    assert.deepEqual(await inTmuxCell(dir, plan), { code: 0, text: "asked\n" });
    await Deno.rename(`${dir}/asked`, `${dir}/gone`);
    await Deno.symlink("other", `${dir}/asked`);
    const swapped = await inTmuxCell(dir, plan);
    assert.equal(swapped.code, 126, swapped.text);
    assert.match(swapped.text, /other\nbureau: refused: what this sandbox binds changed/);
    // Control: without what was checked, there is nothing to say no.
    const blind = {
      ...plan,
      mounts: plan.mounts.map((mount) => ({ ...mount, identity: undefined })),
    };
    assert.equal(boundScript(blind as unknown as SandboxPlan), null);
    assert.equal((await inTmuxCell(dir, blind as unknown as SandboxPlan)).code, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a racing renamer never makes a sandbox that shows another place", async () => {
  await withLauncher(async (bed) => {
    const secret = `${bed.dir}/secret`;
    await Deno.mkdir(secret);
    await Deno.chmod(secret, 0o755);
    await Deno.writeTextFile(`${secret}/mark`, "secret\n", { mode: 0o644 });
    const shared = await bed.workspace("shared");
    await Deno.mkdir(`${shared}/real`);
    await Deno.chmod(shared, 0o755);
    await Deno.chmod(`${shared}/real`, 0o755);
    await Deno.writeTextFile(`${shared}/real/mark`, "real\n", { mode: 0o644 });
    await Deno.symlink(secret, `${shared}/link`);
    const number = Deno.build.arch === "aarch64" ? 276 : 316;
    const racer = new Deno.Command("/usr/bin/perl", {
      args: [
        "-e",
        `my ($a, $b) = @ARGV; while (1) { syscall(${number}, -100, $a, -100, $b, 2); select(undef, undef, undef, rand(0.004)); }`,
        `${shared}/real`,
        `${shared}/link`,
      ],
    }).spawn();
    const ends: string[] = [];
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const name = `r${round}`;
        const template = await bed.template(name, "cat /data/mark >/workspace/out");
        const filesystem = [
          ...template.filesystem!,
          { source: `${shared}/real`, dest: "/data" },
        ];
        const request = await bed.request(name, { template: { ...template, filesystem } });
        const code = await bed.create(name, request).then(
          async () => String((await bed.wait(name)).code),
          (thrown) => String(thrown.code),
        );
        const out = `${bed.dir}/state/workspaces/${name}/out`;
        const seen = await Deno.readTextFile(out).catch(() => "");
        ends.push(`${code} ${seen.trim()}`);
      }
    } finally {
      racer.kill("SIGKILL");
      await racer.status;
    }
    assert.ok(!ends.some((end) => end.includes("secret")), ends.join(", "));
    // Only these ways: it ran on the real one, the link was seen, the cell or its check said no.
    for (const end of ends) {
      assert.match(end, /^(0 real|126 |bad-source |cell-failed |1 )$/, ends.join(", "));
    }
  });
});
