// SPDX-License-Identifier: Apache-2.0

/** Devices, root file systems, bind roots elsewhere, and passthrough: in real sandboxes. */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { type Bed, localpart, withLauncher } from "./testing/harness.ts";
import type { Template } from "../lib/schema/events.ts";

async function inside(bed: Bed, name: string, script: string, change: Template): Promise<string> {
  const template = await bed.template(
    name,
    `{\n${script}\n} </dev/null >/workspace/out 2>/workspace/err; exit 0`,
  );
  await bed.create(
    name,
    await bed.request(name, {
      template: {
        ...template,
        ...change,
        // A tmpfs would hide the host's /tmp from a passthrough, where this bed lies.
        filesystem: [
          ...template.filesystem!.filter(({ type }) =>
            type !== "tmpfs" || change.isolation !== "none"
          ),
          ...change.filesystem ?? [],
        ],
      },
    }),
  );
  const exit = await bed.wait(name);
  assert.equal(exit.code, 0, exit.output.join("\n"));
  return await bed.read(name, "out");
}

const isDevice = (path: string) => Deno.lstat(path).then((info) => info.isCharDevice, () => false);

Deno.test("an agent gets the devices that its template asks for and the policy allows, no others", async (t) => {
  const present: string[] = [];
  for (const path of ["/dev/fuse", "/dev/kvm", "/dev/hwrng", "/dev/rtc0", "/dev/autofs"]) {
    if (await isDevice(path)) present.push(path);
  }
  const [wanted, other] = present;
  if (wanted === undefined) return await skip(t, "none of the devices is on this machine");
  await withLauncher(async (bed) => {
    await bed.writePolicy({ devices: [wanted, "kvm"] });
    const look = `[ -c ${wanted} ] && echo wanted; stat -c %t:%T ${wanted}
      [ -e ${other ?? "/dev/none"} ] || echo 'no other'
      touch /dev/x || echo 'not writable'`;
    const out = await inside(bed, "dev", look, {
      devices: [wanted, "/dev/not-there?"].slice(0, 1),
    });
    const number = new TextDecoder().decode(
      (await new Deno.Command("stat", { args: ["-c", "%t:%T", wanted] }).output()).stdout,
    );
    assert.equal(out, `wanted\n${number}no other\nnot writable\n`);
    // Control: a template that doesn't ask has none.
    assert.doesNotMatch(await inside(bed, "none", look, {}), /^wanted/);
    const good = await bed.template("refused", "exit 0");
    const refusals: [string, string][] = [
      ["device-not-allowed", "/dev/ppp"],
      ["device-not-allowed", "dri"],
      ["bad-device", "/dev/tty"],
      ["bad-device", "/dev/mem"],
    ];
    for (const [code, device] of refusals) {
      const template = { ...good, devices: [device] };
      await assert.rejects(bed.create("refused", await bed.request("refused", { template })), {
        code,
      });
    }
    await bed.writePolicy({ devices: ["/dev/none", "/dev/loop0"] });
    const missing = { ...good, devices: ["/dev/none"] };
    await assert.rejects(
      bed.create("refused", await bed.request("refused", { template: missing })),
      { code: "missing-device" },
    );
    assert.equal(await inside(bed, "maybe", "echo yes", { devices: ["/dev/none?"] }), "yes\n");
  });
});

/** Programs with their libraries, as a root file system. */
async function makeRootfs(path: string): Promise<void> {
  await Deno.mkdir(`${path}/usr/bin`, { recursive: true });
  const programs = ["sh", "script", "cat", "ls", "touch", "hostname"];
  const files = new Set<string>();
  for (const name of programs) {
    await Deno.copyFile(`/usr/bin/${name}`, `${path}/usr/bin/${name}`);
    const { stdout } = await new Deno.Command("ldd", { args: [`/usr/bin/${name}`] }).output();
    for (const [file] of new TextDecoder().decode(stdout).matchAll(/\/\S+\.so\S*/g)) {
      files.add(file);
    }
  }
  for (const file of files) {
    const to = `${path}/usr${file.replace(/^\/usr/, "")}`;
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    await Deno.copyFile(await Deno.realPath(file), to);
  }
  await Deno.writeTextFile(`${path}/usr/mark`, "a root of its own\n");
  for (const name of ["bin", "lib", "lib64"]) await Deno.symlink(`usr/${name}`, `${path}/${name}`);
  // On the host this leads out; in the sandbox it leads into its own /usr.
  await Deno.symlink("/etc", `${path}/sbin`);
  await new Deno.Command("chmod", { args: ["-R", "go+rX", path] }).output();
}

Deno.test("an agent runs from a root file system, and sees nothing of the host's /usr", async () => {
  await withLauncher(async (bed) => {
    const rootfs = `${bed.dir}/state/agents/rootfs`;
    await makeRootfs(rootfs);
    const script = `cat /usr/mark; ls /usr/bin; ls /usr/share; ls -A /sbin/passwd
      touch /usr/x || echo 'not writable'; hostname`;
    const out = await inside(bed, "root", script, { sysroot: { rootfs }, hostname: "own-root" });
    assert.equal(
      out,
      "a root of its own\ncat\nhostname\nls\nscript\nsh\ntouch\nnot writable\nown-root\n",
    );
    // Control: on the host's there are more.
    assert.match(await inside(bed, "host", "ls /usr/bin; ls -d /usr/share", {}), /perl[^]*share/);
    const good = await bed.template("refused", "exit 0");
    await Deno.mkdir(`${bed.dir}/state/agents/empty/usr/bin`, { recursive: true });
    await Deno.symlink("/", `${bed.dir}/state/agents/link`);
    const refusals: [string, string][] = [
      ["bad-sysroot", `${bed.dir}/state/agents/empty`],
      ["bad-source", `${bed.dir}/state/agents/link`],
      ["missing-source", `${bed.dir}/state/agents/none`],
      ["outside-bind-roots", "/"],
    ];
    for (const [code, rootfs] of refusals) {
      const template = { ...good, sysroot: { rootfs } };
      await assert.rejects(bed.create("refused", await bed.request("refused", { template })), {
        code,
      });
    }
  });
});

Deno.test("a bind root that the launcher's permissions don't reach is looked at all the same", async () => {
  await withLauncher(async (bed) => {
    const far = `${bed.dir}/far`;
    await Deno.mkdir(`${far}/data`, { recursive: true });
    await Deno.writeTextFile(`${far}/data/there`, "yes\n", { mode: 0o644 });
    await Deno.symlink("/etc", `${far}/link`);
    for (const path of [far, `${far}/data`]) await Deno.chmod(path, 0o755);
    const roots = [{ path: `${bed.dir}/state/workspaces`, mode: "rw" }, { path: far, mode: "ro" }];
    await bed.writePolicy({ bind_roots: roots });
    const filesystem = [{ source: `${far}/data`, dest: "/data" }];
    assert.equal(await inside(bed, "far", "cat /data/there", { filesystem }), "yes\n");
    const good = await bed.template("refused", "exit 0");
    for (const [code, name] of [["bad-source", "link"], ["missing-source", "none"]] as const) {
      const template = { ...good, filesystem: [{ source: `${far}/${name}`, dest: "/data" }] };
      await assert.rejects(bed.create("refused", await bed.request("refused", { template })), {
        code,
      });
    }
  });
});

Deno.test("passthrough sees the host as the launcher's user, with its own terminal, proxy and end", async () => {
  await withLauncher(async (bed) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    await Deno.writeTextFile(`${bed.dir}/host-file`, "of the host\n", { mode: 0o644 });
    const script = `cat ${bed.dir}/host-file
      cat /run/bureau/payload.json; echo
      perl -MIO::Socket::INET -e 'print IO::Socket::INET->new("127.0.0.1:${port}") ? "host network\\n" : "none\\n"'
      curl -sS --unix-socket /run/bureau/proxy.sock http://proxy/v1/identity | grep -o agent/open
      tty </dev/tty >/dev/null && echo terminal
      grep ^CapEff /proc/self/status | tr -d '[:space:]'; echo
      env | cut -d= -f1 | sort | tr '\\n' ' '; echo
      ulimit -c
      sleep 1000 &`;
    const none: Template = { isolation: "none" };
    const refused = await bed.template("open", "exit 0", none);
    await assert.rejects(bed.create("open", await bed.request("open", { template: refused })), {
      code: "passthrough-refused",
      hint: /policy file \(passthrough\)/,
    });
    await bed.writePolicy({ passthrough: [localpart("open"), localpart("tmp")] });
    const out = await inside(bed, "open", script, none);
    listener.close();
    assert.deepEqual(out.trim().split("\n"), [
      "of the host",
      "{}",
      "host network",
      "agent/open",
      "terminal",
      "CapEff:0000000000000000",
      "HOME PATH PWD TERM ",
      "0",
    ]);
    const own = await bed.template("tmp", "ls -A /tmp >/workspace/out; echo end >>/workspace/out");
    const template = { ...own, ...none };
    await bed.create("tmp", await bed.request("tmp", { template }));
    assert.equal(await bed.read("tmp", "out"), "end\n", "a mount of the template is made here too");
    // Control: another principal has no exception. That nothing outlives it, the harness sees at its end.
    const other = await bed.template("other", "exit 0", none);
    await assert.rejects(bed.create("other", await bed.request("other", { template: other })), {
      code: "passthrough-refused",
    });
  });
});
