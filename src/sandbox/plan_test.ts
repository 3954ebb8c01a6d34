// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { instantiate } from "../lib/template/mod.ts";
import type { Mount } from "../lib/schema/events.ts";
import {
  encodeArguments,
  explainPlan,
  explanationText,
  planSandbox,
  quoteWord,
  SandboxError,
} from "./mod.ts";

const ROOTS = [{ path: "/data/rw", mode: "rw" }, { path: "/data/ro", mode: "ro" }] as const;
const everything = () =>
  Promise.resolve({ isDirectory: true, isFile: false, isSymlink: false } as const);

function plan(filesystem: Mount[], environment: Record<string, string> = {}, word = "true") {
  const spec = instantiate({ command: [word], filesystem }, {});
  return planSandbox({ ...spec, environment_variables: environment }, [...ROOTS], everything);
}

const segment = fc.constantFrom(
  "a",
  "b",
  "..",
  ".",
  "",
  "data",
  "rw",
  "ro",
  "rw2",
  "usr",
  "etc",
  "-",
);
const path = fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const mount: fc.Arbitrary<Mount> = fc.record({
  source: fc.oneof(
    path,
    path.map((rest) => `/data/rw${rest}`),
    path.map((rest) => `/data/ro${rest}`),
  ),
  dest: fc.oneof(fc.constantFrom("/w", "/x/y", "/z"), path, fc.string({ unit: "binary" })),
  mode: fc.constantFrom("ro" as const, "rw" as const),
});

Deno.test("planSandbox() never binds outside its roots, nor writable from a read-only one", async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(mount, { minLength: 1, maxLength: 2 }), async (mounts) => {
      const made = await plan(mounts).catch((thrown) => {
        assert.ok(thrown instanceof SandboxError, String(thrown));
        return null;
      });
      for (const one of made?.mounts ?? []) {
        if (one.kind !== "bind") continue;
        accepted++;
        assert.ok(!one.source.split("/").includes(".."));
        assert.match(one.source, one.mode === "rw" ? /^\/data\/rw(\/|$)/ : /^\/data\/r[ow](\/|$)/);
        assert.ok(
          !/^\/(usr|etc|proc|dev|run|bin|sbin|lib|lib64|sys)?(\/|$)$/.test(one.dest),
          one.dest,
        );
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(accepted > 50, `only ${accepted} binds were accepted: the property says little`);
});

Deno.test("planSandbox() makes one plan whatever the order of the mounts", async () => {
  const dests = ["/workspace", "/scratch", "/opt/a", "/opt/b/c", "/data"];
  const mounts = dests.map((dest): Mount => ({ source: "/data/rw/x", dest }));
  const wanted = await plan(mounts);
  await fc.assert(fc.asyncProperty(fc.shuffledSubarray(mounts, { minLength: 5 }), async (order) => {
    assert.deepEqual(await plan(order), wanted);
  }));
});

Deno.test("planSandbox() refuses hostile strings", async () => {
  const long = "x".repeat(200_000);
  for (const text of ["a\nb", "a\0b", "../up", long, "\ud800"]) {
    await assert.rejects(plan([{ source: `/data/rw/${text}`, dest: "/w" }]), { code: "bad-path" });
    await assert.rejects(plan([{ source: "/data/rw", dest: `/${text}` }]), { code: "bad-path" });
  }
  for (const path of ["--bind", "-", "--", "data/rw"]) {
    await assert.rejects(plan([{ source: path, dest: "/w" }]), { code: "bad-path" });
    await assert.rejects(plan([{ source: "/data/rw", dest: path }]), { code: "bad-path" });
  }
  for (const text of ["a\0b", long, "\ud800"]) {
    await assert.rejects(plan([], { NAME: text }), { code: "bad-word" });
    await assert.rejects(plan([], {}, text), { code: "bad-word" });
  }
  for (const name of ["--bind", "LD_PRELOAD", "A=B", "", "BASH_ENV"]) {
    await assert.rejects(plan([], { [name]: "x" }), { code: "bad-variable" });
  }
  await assert.rejects(
    plan([{ source: "/data/rw", dest: "/w", mode: "rw" }, { source: "/data/ro", dest: "/w/x" }]),
    { code: "beneath-bind" },
  );
});

Deno.test("quoteWord() gives the shell back the same word", async () => {
  for (const word of ["--", "-c", "a'b", "$(id)", "`id`", "a\nb", "\\", "é", ""]) {
    const { stdout } = await new Deno.Command("/bin/sh", {
      args: ["-c", `printf %s ${quoteWord(word)}`],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), word);
  }
  assert.deepEqual([...encodeArguments(["a", ""])], [97, 0, 0]);
});

Deno.test("explainPlan() says what a template asks for of the machine, and how large its directories are", async () => {
  const spec = instantiate({
    command: ["true"],
    create_dirs: ["/made"],
    filesystem: [{ dest: "/sized", type: "tmpfs", options: `size=${2 << 20}` }],
    resources: { scratch_mb: 3, files: 128 },
  }, {});
  const made = await planSandbox(spec, [...ROOTS], everything);
  const about = { pidsLimit: 9, memoryLimitMb: 5, cpuQuotaPercent: 150, ioMbPerSecond: 7 };
  const text = explanationText(explainPlan(made, about)).join("\n");
  assert.match(text, /\/made: empty, writable, in memory, at most 3 MiB/);
  assert.match(text, /\/sized: .* at most 2 MiB/);
  assert.match(text, /128 open files in one process/);
  assert.match(
    text,
    /asked for: 5 MiB of memory, 150 % of one processor, 7 MiB a second from and to each disk/,
  );
  assert.doesNotMatch(explanationText(explainPlan(made)).join("\n"), /asked for:/);
});
