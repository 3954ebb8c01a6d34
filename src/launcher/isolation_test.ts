// SPDX-License-Identifier: Apache-2.0

/** What an agent sees, asked from inside a real one. Each property has a positive control. */
import assert from "node:assert/strict";
import { type Bed, bundleFor, localpart, withLauncher } from "./testing/harness.ts";
import type { Template } from "../lib/schema/events.ts";

/** Runs `script` as the agent and gives what it wrote to its output, after it has ended. */
async function inside(
  bed: Bed,
  name: string,
  script: string,
  change: Template = {},
  payload: Record<string, unknown> = {},
): Promise<string> {
  const template = await bed.template(
    name,
    `{\n${script}\n} >/workspace/out 2>/workspace/err; exit 0`,
    change,
  );
  await bed.create(name, await bed.request(name, { template, assignment: { payload } }));
  const exit = await bed.wait(name);
  assert.equal(exit.code, 0, exit.output.join("\n"));
  return await bed.read(name, "out");
}

Deno.test("an agent has no network but its own loopback", async () => {
  await withLauncher(async (bed) => {
    const secret = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = (secret.addr as Deno.NetAddr).port;
    const out = await inside(
      bed,
      "net",
      `cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '
       curl -sS -m 5 http://127.0.0.1:${port}/ ; echo "host $?"`,
    );
    assert.equal(out, "lo\nhost 7\n");
    // Control: this test's own process reaches that port.
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    secret.close();
  });
});

Deno.test("an agent has no capability, no new privileges, and makes no user namespace", async () => {
  await withLauncher(async (bed) => {
    const out = await inside(
      bed,
      "caps",
      `grep -E '^(Cap|NoNewPrivs)' /proc/self/status
       unshare --user true; echo "userns $?"
       bwrap --ro-bind / / true; echo "bwrap $?"`,
    );
    const fields = Object.fromEntries(
      out.split("\n").filter((line) => line.includes(":")).map((line) => line.split(/:\s+/)),
    );
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.match(fields[name], /^0+$/, name);
    }
    assert.equal(fields["NoNewPrivs"], "1");
    assert.match(out, /^userns [1-9]/m);
    assert.match(out, /^bwrap [1-9]/m);
    // Control: outside, bwrap makes one.
    const outer = await new Deno.Command("bwrap", {
      args: ["--unshare-user", "--ro-bind", "/", "/", "/usr/bin/true"],
    }).output();
    assert.equal(outer.code, 0);
  });
});

Deno.test("no socket in a sandbox tells how Bureau's processes do", async () => {
  await withLauncher(async (bed) => {
    const ask = "curl -sS -m 5 -w '\\n%{http_code}\\n' --unix-socket";
    const out = await inside(
      bed,
      "sockets",
      `for socket in $(find / -xdev -type s 2>/dev/null; find /run /tmp /workspace -type s 2>/dev/null); do
         echo "$socket"; ${ask} "$socket" http://192.0.2.1/metrics
       done`,
    );
    assert.match(out, /^\/run\/bureau\/agent\/proxy\.sock$/m);
    assert.match(out, /^404$/m);
    assert.doesNotMatch(out, /bureau_[a-z]+_|^200$/m);
    // Control: outside, the same question has an answer, of the launcher and of a principal's own proxy.
    const started = await bed.create(
      "control",
      await bed.request("control", { template: await bed.template("control", "sleep 1000") }),
    );
    for (
      const [socket, name] of [
        [`${bed.dir}/launcher/launcher.sock`, "bureau_launcher_cells"],
        [`${bed.dir}/p/${started.hash}/admin/admin.sock`, "bureau_proxy_active_requests"],
      ] as const
    ) {
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
      const answer = await fetch("http://192.0.2.1/metrics", { client });
      assert.match(await answer.text(), new RegExp(`^${name}`, "m"), socket);
      client.close();
    }
  });
});

Deno.test("an agent's environment is what its template names", async () => {
  await withLauncher(async (bed) => {
    const out = await inside(bed, "env", "cat /proc/$$/environ | tr '\\0' '\\n' | sort", {
      environment_variables: { PATH: "/usr/bin:/bin", GREETING: "two words 'quoted'" },
      prepend_variables: { PATH: ["/opt/tools"] },
    });
    assert.deepEqual(out.trim().split("\n"), [
      "GREETING=two words 'quoted'",
      "PATH=/opt/tools:/usr/bin:/bin",
      "TERM=xterm-256color",
    ]);
  });
});

Deno.test("an agent sees no host file and writes only where its template says", async () => {
  await withLauncher(async (bed) => {
    const canary = `${bed.dir}/canary`;
    await Deno.writeTextFile(canary, "secret", { mode: 0o644 });
    const readonly = await bed.workspace("shared");
    await Deno.writeTextFile(`${readonly}/there`, "yes", { mode: 0o644 });
    await Deno.chmod(readonly, 0o755);
    const workspace = await bed.workspace("files");
    const out = await inside(
      bed,
      "files",
      `cat ${canary} || echo hidden
       ls -A / | tr '\\n' ' '; echo
       ls -A /etc | tr '\\n' ' '; echo
       cat /etc/passwd | cut -d: -f1 | tr '\\n' ' '; echo
       for dir in / /etc /usr /dev /run /run/bureau /run/bureau/agent /run/bureau/contract /shared /opt /home /var; do
         touch "$dir/x" && echo "wrote $dir"
       done
       touch /workspace/x && echo "wrote /workspace"
       touch /tmp/x && echo "wrote /tmp"
       touch /dev/shm/x && echo "wrote /dev/shm"
       df -B1 --output=size,target /tmp /dev/shm | tail -n 2 | tr -s ' '
       cat /shared/there; echo
       cat /proc/self/mountinfo | cut -d' ' -f4 | grep -c ${bed.dir} `,
      {
        filesystem: [
          { source: workspace, dest: "/workspace", mode: "rw" },
          { source: readonly, dest: "/shared" },
          { dest: "/tmp", type: "tmpfs", options: "size=1048576" },
        ],
      },
    );
    const lines = out.split("\n");
    assert.equal(lines[0], "hidden");
    assert.deepEqual(
      lines[1]!.trim().split(" ").filter((name) => !/^(bin|sbin|lib\w*)$/.test(name)),
      ["dev", "etc", "proc", "run", "shared", "tmp", "usr", "workspace"],
    );
    assert.deepEqual(lines[2]!.trim().split(" "), [
      "alternatives",
      "ca-certificates",
      "group",
      "hostname",
      "hosts",
      "ld.so.cache",
      "locale.conf",
      "localtime",
      "nsswitch.conf",
      "passwd",
      "resolv.conf",
      "ssl",
    ]);
    assert.equal(lines[3]!.trim(), "agent nobody");
    assert.deepEqual(lines.filter((line) => line.startsWith("wrote")), [
      "wrote /workspace",
      "wrote /tmp",
      "wrote /dev/shm",
    ]);
    assert.ok(out.includes("1048576 /tmp"), out);
    assert.ok(out.includes("67108864 /dev/shm"), out);
    assert.ok(lines.includes("yes"));
    // Control: the canary is there, for whoever is outside.
    assert.equal(await Deno.readTextFile(canary), "secret");
  });
});

Deno.test("an agent inherits no descriptor beyond its terminal", async () => {
  await withLauncher(async (bed) => {
    const out = await inside(
      bed,
      "fds",
      `ls /proc/$$/fd
       tty </dev/tty`,
      {},
    );
    // 10 and up: where the shell saves what its redirections replace.
    const low = out.split("\n").filter((line) => /^\d+$/.test(line)).map(Number)
      .filter((fd) => fd < 10);
    assert.deepEqual(low, [0, 1, 2]);
    assert.match(out, /^\/dev\/(tty|pts\/)/m);
  });
});

Deno.test("an agent sees only its own processes", async () => {
  await withLauncher(async (bed) => {
    const out = await inside(bed, "pids", "cat /proc/[0-9]*/comm");
    assert.deepEqual([...new Set(out.trim().split("\n"))].toSorted(), [
      "bwrap",
      "script",
      "sh",
    ]);
  });
});

Deno.test("an agent reads its payload and speaks to its proxy", async () => {
  await withLauncher(async (bed) => {
    const out = await inside(
      bed,
      "proxy",
      `cat /run/bureau/payload.json; echo
       curl -sS --unix-socket /run/bureau/proxy.sock http://proxy/v1/identity; echo
       ls /run/bureau | tr '\\n' ' '`,
      {},
      { task: "count", list: [1, "é"] },
    );
    const [payload, identity, listing] = out.split("\n");
    assert.deepEqual(JSON.parse(payload!), { task: "count", list: [1, "é"] });
    assert.equal(JSON.parse(identity!).principal, localpart("proxy"), identity);
    assert.equal(listing!.trim(), "agent contract payload.json proxy.sock");
  });
});

Deno.test("a workspace bound read-only cannot be written", async () => {
  await withLauncher(async (bed) => {
    const out = bed.workspace("ro-out");
    const readonly = await bed.workspace("ro");
    const template = await bed.template("ro", "", {
      command: ["/bin/sh", "-c", "touch /workspace/x; echo $? >/out/code"],
      filesystem: [
        { source: readonly, dest: "/workspace" },
        { source: await out, dest: "/out", mode: "rw" },
      ],
    });
    await bed.create("ro", await bed.request("ro", { template }));
    await bed.wait("ro");
    assert.equal((await bed.read("ro-out", "code")).trim(), "1");
  });
});

Deno.test("secrets appear in no command line, environment, log, or file of the run directory", async () => {
  const secret = `s3cret-${crypto.randomUUID()}`;
  await withLauncher(async (bed) => {
    const template = await bed.template("quiet", "touch started; exec sleep 1000", {
      required_credentials: ["KEY"],
      proxy_services: {
        api: { upstream: "https://api.test", inject_headers: { "x-api-key": "KEY" } },
      },
    });
    const bundle = bundleFor("quiet", { KEY: { value: secret, allowed_hosts: ["api.test:443"] } });
    await bed.create("quiet", await bed.request("quiet", { template, bundle }));
    await bed.read("quiet", "started");
    const processes = await bed.processes();
    // Control: proxy, terminal and agent are among what is looked at.
    for (const program of [/proxy\.js/, /tmux -f/, /sleep 1000/]) {
      assert.ok(processes.some(({ command }) => program.test(command)), String(program));
    }
    for (const { pid, command } of processes) {
      const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
      assert.ok(!(command + environment).includes(secret), command);
    }
    assert.ok(!bed.launcher.log.join("\n").includes(secret));
    const grep = await new Deno.Command("grep", {
      args: ["-rlFs", secret, `${bed.dir}/p`, `${bed.dir}/state`, `${bed.dir}/launcher`],
    }).output();
    assert.equal(new TextDecoder().decode(grep.stdout), "");
  });
});

Deno.test("a fork bomb stays in its sandbox", async () => {
  await withLauncher(async (bed) => {
    const bomb = 'n=0; while [ $n -lt 200 ]; do sleep 1000 & n=$((n + 1)); done; echo "made $n"';
    const template = await bed.template(
      "bomb",
      `sh -c '${bomb}' >/workspace/out 2>&1; echo "end $?" >/workspace/ended; exec sleep 1000`,
      { resources: { pids_limit: 64 } },
    );
    await bed.create("bomb", await bed.request("bomb", { template }));
    assert.doesNotMatch(await bed.read("bomb", "ended"), /end 0/);
    assert.match(await bed.read("bomb", "out"), /fork/i);
    // Control: another agent of the same user has room for as many, and the launcher still answers.
    assert.equal(await inside(bed, "calm", bomb), "made 200\n");
    assert.equal((await bed.show("bomb")).phase, "running");
  });
});

Deno.test("a template says how large its scratch directories are and how many files it may open", async () => {
  await withLauncher(async (bed) => {
    const look = "(ulimit -n; stat -fc %b:%S /made /sized; head -c 5000000 /dev/zero >/made/x; " +
      "stat -c %s /made/x) >/workspace/out 2>/dev/null; echo >/workspace/ended; exec sleep 1000";
    const asked = async (name: string, resources: Record<string, number>) =>
      await bed.template(name, `sh -c '${look}'`, {
        create_dirs: ["/made"],
        filesystem: [
          { source: await bed.workspace(name), dest: "/workspace", mode: "rw" },
          { dest: "/sized", type: "tmpfs", options: `size=${2 << 20}` },
        ],
        resources,
      });
    const seen = async (name: string, resources: Record<string, number>) => {
      await bed.create(
        name,
        await bed.request(name, { template: await asked(name, resources) }),
      );
      await bed.read(name, "ended");
      return (await bed.read(name, "out")).trim().split("\n").map((line) => {
        const [blocks, size] = line.split(":").map(Number);
        return size === undefined ? blocks! : blocks! * size;
      });
    };
    assert.deepEqual(await seen("small", { scratch_mb: 3, files: 128 }), [
      ...[128, 3 << 20, 2 << 20, 3 << 20],
    ]);
    // Control: where the template doesn't say.
    assert.deepEqual(await seen("usual", {}), [4096, 64 << 20, 2 << 20, 5_000_000]);
  });
});
