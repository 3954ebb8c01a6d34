// SPDX-License-Identifier: Apache-2.0

/** Devices over a made-up /dev, closures over a made-up store, protection of binds within a repository. */
import assert from "node:assert/strict";
import { instantiate } from "../lib/template/mod.ts";
import type { Template } from "../lib/schema/events.ts";
import {
  agentArguments,
  type DeviceNode,
  devicePatterns,
  type MachineFacts,
  planDevices,
  planSandbox,
} from "./mod.ts";

const node = (path: string, kind: DeviceNode["kind"] = "character"): DeviceNode => ({
  path,
  kind,
  identity: `5:${path.length}`,
});
const DEV = [
  node("/dev/dri/card0"),
  node("/dev/dri/renderD128"),
  node("/dev/dri/renderD129"),
  node("/dev/nvidia0"),
  node("/dev/nvidia1"),
  node("/dev/nvidiactl"),
  node("/dev/nvidia-uvm"),
  node("/dev/nvidia-modeset"),
  node("/dev/nvidia-caps", "other"),
  node("/dev/kvm"),
  node("/dev/fuse"),
  node("/dev/sda", "block"),
  node("/dev/link", "link"),
];
const paths = (wanted: string[], allowed: string[]) =>
  planDevices(wanted, allowed, DEV).map(({ path }) => path);

Deno.test("planDevices() gives exactly the nodes that are asked for and allowed", () => {
  assert.deepEqual(paths(["dri"], ["dri"]), ["/dev/dri/renderD128", "/dev/dri/renderD129"]);
  assert.deepEqual(paths(["dri"], ["/dev/dri/renderD129"]), ["/dev/dri/renderD129"]);
  assert.deepEqual(paths(["/dev/dri/renderD128"], ["dri"]), ["/dev/dri/renderD128"]);
  assert.deepEqual(paths(["nvidia"], ["nvidia"]), [
    "/dev/nvidia-uvm",
    "/dev/nvidia0",
    "/dev/nvidia1",
    "/dev/nvidiactl",
  ]);
  assert.deepEqual(paths(["kvm", "/dev/kvm", "/dev/fuse"], ["kvm", "/dev/fuse"]), [
    "/dev/fuse",
    "/dev/kvm",
  ]);
  assert.deepEqual(paths(["/dev/none?"], ["/dev/none"]), []);
  const refusals: [string, string, string[]][] = [
    ["device-not-allowed", "kvm", ["dri"]],
    ["device-not-allowed", "kvm?", []],
    ["device-not-allowed", "/dev/fuse", ["fuse"]],
    ["missing-device", "/dev/none", ["/dev/none"]],
    ["bad-device", "/dev/sda", ["/dev/sda"]],
    ["bad-device", "/dev/link", ["/dev/link"]],
    ["bad-device", "/dev/dri/card0", ["/dev/dri/card0"]],
    ["bad-device", "/dev/mem", ["/dev/mem"]],
    ["bad-device", "/dev/pts/0", ["/dev/pts/0"]],
    ["bad-device", "/dev/kvm/../mem", ["/dev/kvm/../mem"]],
    ["bad-device", "/dev//mem", ["/dev//mem"]],
    ["bad-device", "/dev/mem/", ["/dev/mem/"]],
    ["bad-device", "/etc/shadow", ["/etc/shadow"]],
    ["bad-device", "constructor", ["constructor"]],
    ["bad-device", "/dev/x\n", ["/dev/x\n"]],
  ];
  for (const [code, wanted, allowed] of refusals) {
    assert.throws(() => paths([wanted], allowed), { code }, wanted);
  }
  assert.deepEqual(devicePatterns(["dri", "kvm?", "/dev/fuse"]), [
    "/dev/dri/renderD*",
    "/dev/kvm",
    "/dev/fuse",
  ]);
});

const HASH = "0123456789abcdfghijklmnpqrsvwxyz";
const store = (name: string) => `/nix/store/${HASH}-${name}`;
const LIST = `${store("closure")}/store-paths`;

function planOf(template: Template, text: string, there: readonly string[], environment = "") {
  const facts: MachineFacts = {
    readText: (path) => Promise.resolve(path.endsWith("/environment") ? environment : text),
  };
  const info = (isFile: boolean) => ({ isDirectory: !isFile, isFile, isSymlink: false });
  return planSandbox(
    instantiate({ command: ["true"], ...template }, {}),
    [{ path: "/nix/store", mode: "ro" }, { path: "/ws", mode: "rw" }],
    (path) =>
      Promise.resolve(
        there.includes(path) || there.some((one) => one.startsWith(`${path}/`))
          ? info(path === LIST || /\/(sh|script|config)$/.test(path))
          : null,
      ),
    facts,
  );
}

Deno.test("a Nix closure is its store paths and nothing else", async () => {
  const there = [
    LIST,
    `${store("bash")}/bin/sh`,
    `${store("util-linux")}/bin/script`,
    store("libc"),
  ];
  const text = ["bash", "util-linux", "libc"].map((name) => `${store(name)}\n`).join("");
  const template: Template = { sysroot: { nix: store("closure") } };
  const plan = await planOf(template, text, there);
  const dests = ["bash", "libc", "util-linux"].map(store);
  assert.deepEqual(plan.sysroot.mounts.map(({ source }) => source), dests);
  const args = agentArguments(plan);
  for (const dest of dests) {
    const at = args.indexOf(dest);
    assert.deepEqual(args[at - 2], "--ro-bind");
  }
  assert.ok(!args.includes("/usr") && !args.includes("/lib"), "nothing of the host's programs");
  assert.deepEqual(args.slice(args.indexOf("/bin/sh") - 2, args.indexOf("/bin/sh") + 1), [
    "--symlink",
    `${store("bash")}/bin/sh`,
    "/bin/sh",
  ]);
  const refusals: [string, string][] = [
    ["bad-sysroot", ""],
    ["bad-sysroot", "/etc\n"],
    ["bad-sysroot", `${store("bash")}/../../../etc\n`],
    ["bad-sysroot", `${store("libc")}\n`],
    ["missing-source", `${store("gone")}\n`],
  ];
  for (const [code, text] of refusals) {
    await assert.rejects(planOf(template, text, there), { code }, text);
  }
});

Deno.test("the programs of a closure that names its environment are /usr/local/bin", async () => {
  const there = [
    LIST,
    `${store("closure")}/environment`,
    `${store("bash")}/bin/sh`,
    `${store("tools")}/bin/script`,
    `${store("tools")}/bin/env`,
  ];
  const text = ["bash", "tools"].map((name) => `${store(name)}\n`).join("");
  const template: Template = { environment: store("closure") };
  const { sysroot } = await planOf(template, text, there, `${store("tools")}\n`);
  assert.deepEqual(Object.fromEntries(sysroot.links.map(({ dest, target }) => [dest, target])), {
    "/bin/sh": `${store("bash")}/bin/sh`,
    "/usr/bin/script": `${store("tools")}/bin/script`,
    "/usr/bin/env": `${store("tools")}/bin/env`,
    "/usr/local/bin": `${store("tools")}/bin`,
  });
  const bridged = { ...template, bridge: true };
  await assert.rejects(planOf(bridged, text, there, store("tools")), { code: "no-bridge" });
  for (const other of ["", store("gone"), "/etc"]) {
    await assert.rejects(planOf(template, text, there, other), { code: "bad-sysroot" }, other);
  }
});

Deno.test("a bind of a part of a repository protects what is in that part", async () => {
  const there = ["/ws/repo/.git/hooks", "/ws/repo/.git/config", "/ws/.codex/worktrees/x"];
  const rw = (source: string): Template => ({ filesystem: [{ source, dest: "/w", mode: "rw" }] });
  const plan = await planOf(rw("/ws/repo/.git"), "", there);
  assert.deepEqual(plan.mounts.slice(1).map(({ dest }) => dest), ["/w/config", "/w/hooks"]);
  for (const source of ["/ws/repo/.git/hooks", "/ws/repo/.git/config"]) {
    await assert.rejects(planOf(rw(source), "", there), { code: "protected-source" });
  }
  // A directory of tools in which worktrees lie is no workspace.
  assert.equal((await planOf(rw("/ws/.codex/worktrees/x"), "", there)).mounts.length, 1);
  // A shorter name that is protected swallows the longer ones.
  const whole = await planOf({ ...rw("/ws/repo"), protected_paths: [".git"] }, "", there);
  assert.deepEqual(
    whole.mounts.map((mount) => [mount.dest, mount.kind === "bind" ? mount.mode : ""]),
    [["/w", "rw"], ["/w/.git", "ro"]],
  );
});
