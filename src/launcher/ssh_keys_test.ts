// SPDX-License-Identifier: Apache-2.0

/** SSH keys of a template: usable in the sandbox, and nowhere in it. */
import assert from "node:assert/strict";
import { withAccount } from "../lib/testing/account.ts";
import { lacks } from "../lib/testing/skip.ts";
import type { CredentialBundle } from "../lib/schema/events.ts";
import { publicKeyLine } from "../lib/ssh/mod.ts";
import { bindSshKeys } from "./ssh.ts";
import { type Bed, bundleFor, withLauncher } from "./testing/harness.ts";

async function keygen(dir: string, name: string): Promise<{ pem: string; line: string }> {
  const words = ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${name}`];
  const { command, args } = await withAccount("/usr/bin/ssh-keygen", words);
  const { success, stderr } = await new Deno.Command(command, { args, env: { HOME: dir } })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const pem = await Deno.readTextFile(`${dir}/${name}`);
  await Deno.remove(`${dir}/${name}`);
  return { pem, line: publicKeyLine(pem) };
}

async function start(bed: Bed, name: string, pem: string, hostLine: string, script: string) {
  const template = await bed.template(
    name,
    `{\n${script}\n} </dev/null >/workspace/out 2>/workspace/err; exit 0`,
  );
  const credentials: CredentialBundle["credentials"] = {
    "deploy-key": {
      value: pem,
      allowed_hosts: ["git.example.org:22"],
      known_hosts: `git.example.org ${hostLine}\nother.example.org ${hostLine}\n`,
    },
  };
  await bed.create(
    name,
    await bed.request(name, {
      template: {
        ...template,
        ssh_keys: { deploy: { credential: "deploy-key", users: ["git"], signs: ["git"] } },
      },
      bundle: bundleFor(name, credentials),
    }),
  );
  const exit = await bed.wait(name);
  assert.equal(exit.code, 0, exit.output.join("\n"));
  return {
    out: await bed.read(name, "out"),
    err: await bed.read(name, "err"),
  };
}

Deno.test("a sandbox signs with a key that it can't read, and knows the hosts it is for", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  await withLauncher(async (bed) => {
    const key = await keygen(bed.dir, "key");
    const host = await keygen(bed.dir, "host");
    const { out, err } = await start(
      bed,
      "signer",
      key.pem,
      host.line,
      `ssh-add -L; cat /run/bureau/contract/known_hosts
       cd /workspace; git init -q tree; cd tree
       git -c user.name=A -c user.email=a@x.org commit -q --allow-empty -m signed
       echo "a@x.org ${key.line}" >/workspace/allowed
       git -c gpg.ssh.allowedSignersFile=/workspace/allowed verify-commit HEAD 2>&1
       echo text | ssh-keygen -Y sign -f <(ssh-add -L) -n file 2>&1 | grep -c refused
       grep -rlI 'OPENSSH PRIVATE' /run /etc /workspace /tmp /proc/self/environ 2>/dev/null || echo nowhere`
        .replace("<(ssh-add -L)", "/workspace/deploy.pub").replace(
          "cd /workspace;",
          "cd /workspace; ssh-add -L >deploy.pub;",
        ),
    );
    const lines = out.split("\n");
    assert.equal(lines[0], `${key.line} deploy`, err);
    assert.equal(lines[1], `git.example.org ${host.line}`);
    assert.match(lines[2]!, /^Good "git" signature for a@x\.org/, err);
    assert.equal(lines.at(-2), "nowhere");
  });
});

Deno.test("a key that can't be used is refused before anything starts, and the refusal says why", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-ssh-" });
  try {
    const key = await keygen(dir, "key");
    const bind = (value: string, known_hosts: string | undefined, name = "k") =>
      bindSshKeys(
        { ssh_keys: { deploy: { credential: "k" } } },
        {
          version: 1,
          principal: "p",
          credentials: {
            [name]: {
              value,
              allowed_hosts: ["h.org:22"],
              ...(known_hosts === undefined ? {} : { known_hosts }),
            },
          },
        },
        "p",
      );
    // The control.
    assert.deepEqual(bind(key.pem, `h.org ${key.line}`)!.keys["deploy"]!.hosts, [
      { host: "h.org:22", key: key.line.split(" ")[1] },
    ]);
    for (
      const [code, attempt] of [
        ["missing-credential", () => bind(key.pem, "", "other")],
        ["no-known-host", () => bind(key.pem, undefined)],
        ["no-known-host", () => bind(key.pem, `elsewhere.org ${key.line}`)],
        ["bad-ssh-key", () => bind(key.pem, `*.org ${key.line}`)],
        ["bad-ssh-key", () => bind("not a key", `h.org ${key.line}`)],
      ] as const
    ) {
      assert.throws(attempt, (thrown: { code: string; message: string }) => {
        assert.equal(thrown.code, code);
        assert.ok(!thrown.message.includes("PRIVATE KEY-----\n"));
        return true;
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
