// SPDX-License-Identifier: Apache-2.0

/** Random templates over a random file system: what a plan shows, and what bwrap is told of it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Mount, Template } from "../lib/schema/events.ts";
import { instantiate, TemplateError } from "../lib/template/mod.ts";
import {
  agentArguments,
  explainPlan,
  explanationText,
  guardScript,
  type PathInfo,
  planSandbox,
  PROTECTED_PATHS,
  SandboxError,
  type SandboxPlan,
  tmuxCellArguments,
} from "./mod.ts";
import { parse } from "./testing/words.ts";

const ROOTS = [{ path: "/data/rw", mode: "rw" }, { path: "/data/ro", mode: "ro" }] as const;
const DIRS = {
  agent: "/run/b/p/h/agent",
  admin: "/run/b/p/h/admin",
  egress: "/run/b/p/h/egress",
  tmux: "/run/b/p/h/tmux",
  observe: "/run/b/p/h/observe",
  cell: "/run/b/p/h/cell",
  listen: "/run/b/p/h/listen",
  service: "/run/b/p/h/service",
};
type Kind = "dir" | "file" | "link" | "fifo" | "none";

function info(kind: Kind): PathInfo | null {
  return kind === "none" ? null : {
    isDirectory: kind === "dir",
    isFile: kind === "file",
    isSymlink: kind === "link",
    dev: 1,
    ino: 2,
  };
}

/** @param strange what lies at these paths; everything else is a directory, but a protected name is missing */
function fileSystem(strange: Readonly<Record<string, Kind>>) {
  return (path: string): Promise<PathInfo | null> => {
    const kind = Object.hasOwn(strange, path)
      ? strange[path]!
      : /\/(\.|mise)/.test(path)
      ? "none"
      : "dir";
    return Promise.resolve(info(kind));
  };
}

async function attempt(
  template: Template,
  strange: Readonly<Record<string, Kind>> = {},
): Promise<SandboxPlan | null> {
  try {
    const spec = instantiate(template, {});
    return await planSandbox(spec, ROOTS, fileSystem(strange), {
      allowedDevices: ["kvm", "dri", "/dev/fuse"],
      findDevices: (patterns) =>
        Promise.resolve(patterns.map((path) => ({
          path: path.replace("*", "128"),
          kind: "character" as const,
        }))),
    });
  } catch (thrown) {
    assert.ok(thrown instanceof SandboxError || thrown instanceof TemplateError, String(thrown));
    return null;
  }
}

const isBind = ([name]: string[]) => /-?bind(-try)?$/.test(name!);
const isWithin = (path: string, dir: string) => path === dir || path.startsWith(`${dir}/`);

function checkCell(plan: SandboxPlan): void {
  const sources = plan.mounts.flatMap((mount) => mount.kind === "bind" ? [mount.source] : []);
  const ours = [...Object.values(DIRS), "/usr", "/bin", "/sbin", "/lib", "/lib64"];
  // Where this machine's /usr is links into a store, that store.
  ours.push("/usr/nix/store");
  for (const [name, source, dest] of parse(tmuxCellArguments(plan, DIRS)).filter(isBind)) {
    const shown = ours.includes(source!) || /^\/etc\/[a-z.-]+$/.test(source!) ||
      sources.includes(source!) ||
      (name === "--dev-bind" && /^\/dev\/(kvm|fuse|dri\/renderD\d+)$/.test(source!));
    assert.ok(shown, `${name} ${source} ${dest}`);
  }
}

function checkAgent(plan: SandboxPlan): void {
  const options = parse(agentArguments(plan));
  for (const [name, source, dest] of options.filter(isBind)) {
    assert.match(
      source!,
      /^(\/source\/\S+|\/cell\/(etc|contract)|\/run\/bureau\/agent|\/usr(\/nix\/store)?|\/s?bin|\/lib(64)?)$/,
    );
    if (name === "--bind") {
      const mount = plan.mounts.find((mount) => mount.dest === dest);
      assert.ok(mount?.kind === "bind" && mount.mode === "rw", `${dest} is writable`);
    }
  }
  assert.ok(options.some(([name]) => name === "--disable-userns"));
  assert.ok(options.some(([name, dest]) => name === "--remount-ro" && dest === "/"));
}

function checkPlan(plan: SandboxPlan, strange: Readonly<Record<string, Kind>>): void {
  for (const [index, mount] of plan.mounts.entries()) {
    const before = plan.mounts.slice(0, index);
    assert.ok(!before.some(({ dest }) => isWithin(dest, mount.dest)), "parents come first");
    if (mount.kind !== "bind") continue;
    const root = ROOTS.find(({ path }) => isWithin(mount.source, path))!;
    assert.ok(root.mode === "rw" || mount.mode === "ro", mount.source);
    const parts = mount.source.split("/").slice(1);
    for (const at of parts.keys()) {
      const path = `/${parts.slice(0, at + 1).join("/")}`;
      assert.ok(!["link", "fifo", "none"].includes(strange[path] ?? "dir"), path);
    }
    const above = before.findLast(({ dest }) => isWithin(mount.dest, dest));
    if (above?.kind === "bind" && above.mode === "rw") {
      assert.ok(mount.why === "protected" || mount.why === "pinned", mount.dest);
      // Every directory between is a mount of its own.
      assert.equal(above.dest, mount.dest.slice(0, mount.dest.lastIndexOf("/")));
    }
    if (mount.why === "protected") assert.equal(mount.mode, "ro");
  }
}

const name = fc.constantFrom("a", "b", "c", "..", ".", "", "-", "--bind", "é", "x y", ".git", "'");
const path = fc.array(name, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const source = fc.oneof(
  path,
  path.map((rest) => `/data/rw${rest}`),
  path.map((rest) => `/data/ro${rest}`),
);
const word = fc.oneof(
  fc.constantFrom("", "-x", "--bind", "a\0b", "a\nb", "\ud800", "x".repeat(200_000), "'$(id)'"),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const mount: fc.Arbitrary<Mount> = fc.record({
  source,
  dest: fc.oneof(fc.constantFrom("/w", "/x/y", "/z", "/w/a"), path, word.map((text) => `/${text}`)),
  mode: fc.constantFrom("ro" as const, "rw" as const),
}, { requiredKeys: ["source", "dest"] });
/** In order, so that most of what is refused is refused for one reason. */
const goodMount: fc.Arbitrary<Mount> = fc.record({
  source: fc.constantFrom("/data/rw", "/data/rw/a", "/data/rw/b/c"),
  dest: fc.constantFrom("/w", "/x/y", "/z", "/workspace"),
  mode: fc.constantFrom("ro" as const, "rw" as const),
});
const template: fc.Arbitrary<Template> = fc.record({
  command: fc.oneof(
    fc.constant<string[]>(["true"]),
    fc.array(word, { minLength: 1, maxLength: 2 }),
  ),
  filesystem: fc.array(fc.oneof({ weight: 5, arbitrary: goodMount }, mount), { maxLength: 3 }),
  create_dirs: fc.oneof(fc.constant<string[]>(["/d"]), fc.array(path, { maxLength: 1 })),
  protected_paths: fc.oneof(
    fc.constant<string[]>(["deploy/hooks"]),
    fc.array(word, { maxLength: 1 }),
  ),
  devices: fc.oneof(
    fc.constant<string[]>([]),
    fc.subarray(["kvm", "dri", "/dev/fuse", "/dev/mem?", "/dev/../etc/x", "nvidia"]),
  ),
  environment_variables: fc.oneof(
    fc.constant<Record<string, string>>({}),
    fc.dictionary(fc.oneof(fc.constantFrom("A", "__proto__", "LD_PRELOAD"), word), word, {
      maxKeys: 2,
    }),
  ),
  hostname: fc.oneof(fc.constant<string>("box"), word),
}, { requiredKeys: ["command"] });
const strangeness = fc.dictionary(
  fc.oneof(
    source,
    fc.tuple(fc.constantFrom("/data/rw", "/data/rw/a"), fc.constantFrom(...PROTECTED_PATHS, ".git"))
      .map((parts) => parts.join("/")),
  ),
  fc.constantFrom<Kind>("dir", "file", "link", "fifo", "none"),
  { maxKeys: 8 },
);

Deno.test("no template makes a plan, or words for bwrap, that show more than it names", async () => {
  const seen = { plans: 0, binds: 0, protected: 0, devices: 0 };
  await fc.assert(
    fc.asyncProperty(template, strangeness, async (template, strange) => {
      const plan = await attempt(template, strange);
      if (plan === null) return;
      seen.plans++;
      seen.binds += plan.mounts.filter(({ kind }) => kind === "bind").length;
      seen.protected += plan.mounts.filter((mount) => "why" in mount).length;
      seen.devices += plan.devices.length;
      checkPlan(plan, strange);
      checkCell(plan);
      checkAgent(plan);
      for (const line of explanationText(explainPlan(plan))) {
        // deno-lint-ignore no-control-regex -- that there are none is what is asked
        assert.ok(!/[\x00-\x1f\x7f-\x9f]/.test(line), JSON.stringify(line));
      }
    }),
    { numRuns: 6_000 },
  );
  assert.ok(
    seen.plans > 200 && seen.binds > 100 && seen.protected > 10 && seen.devices > 20,
    JSON.stringify(seen),
  );
});

Deno.test("one plan and one line for bwrap, whatever the order of a template's lists", async () => {
  const filesystem: Mount[] = ["/workspace", "/scratch", "/opt/a", "/opt/b/c", "/data"].map((
    dest,
  ) => ({ source: "/data/rw/x", dest, mode: dest === "/workspace" ? "rw" : "ro" }));
  const given = {
    command: ["true"],
    filesystem,
    create_dirs: ["/d", "/e/f"],
    devices: ["kvm", "/dev/fuse", "dri"],
  };
  const strange: Record<string, Kind> = {
    "/data/rw/x/.git/hooks": "dir",
    "/data/rw/x/.git": "dir",
  };
  const wanted = (await attempt(given, strange))!;
  assert.deepEqual(
    wanted.mounts.filter((mount) => "why" in mount).map(({ dest }) => dest),
    ["/workspace/.git", "/workspace/.git/hooks"],
  );
  const shuffled = <T>(list: T[]) => fc.shuffledSubarray(list, { minLength: list.length });
  await fc.assert(
    fc.asyncProperty(
      shuffled(filesystem),
      shuffled(given.create_dirs),
      shuffled(given.devices),
      async (filesystem, create_dirs, devices) => {
        const plan = await attempt(
          { command: ["true"], filesystem, create_dirs, devices },
          strange,
        );
        assert.deepEqual(plan, wanted);
        assert.deepEqual(agentArguments(plan!), agentArguments(wanted));
        assert.deepEqual(tmuxCellArguments(plan!, DIRS), tmuxCellArguments(wanted, DIRS));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("the guard lets a sandbox go on only when each protected name is mounted at its place", async () => {
  const names = fc.constantFrom("a", "a b", "it's", "back\\slash", "$(id)", "*", "ü", "#");
  await fc.assert(
    fc.asyncProperty(names, fc.boolean(), async (name, mounted) => {
      const strange: Record<string, Kind> = { [`/data/rw/${name}/.envrc`]: "file" };
      const plan = (await attempt({
        command: ["true"],
        filesystem: [{ source: `/data/rw/${name}`, dest: `/${name}`, mode: "rw" }],
      }, strange))!;
      const octal = `/${name}/.envrc`.replace(
        /[ \\]/g,
        (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`,
      );
      const file = await Deno.makeTempFile();
      const table = `1 2 0:1 / / rw - tmpfs tmpfs rw\n${
        mounted ? `3 2 0:1 / ${octal} ro - x x rw\n` : ""
      }`;
      await Deno.writeTextFile(file, table);
      const script = guardScript(plan)!.replace("/proc/self/mountinfo", file);
      const { code } = await new Deno.Command("/bin/sh", {
        args: ["-c", `${script}\nexit 7`],
        stderr: "null",
      }).output();
      await Deno.remove(file);
      assert.equal(code, mounted ? 7 : 126);
    }),
    { numRuns: 24 },
  );
});
