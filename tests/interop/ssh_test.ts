// SPDX-License-Identifier: Apache-2.0

/** git over SSH: the key is in the proxy, the connection goes through the bridge, the server is `ssh2`'s. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
// @ts-types="../../src/lib/testing/ssh2.d.ts"
import ssh2 from "ssh2";
import { publicKeyLine } from "../../src/lib/ssh/mod.ts";
import { withAccount } from "../../src/lib/testing/account.ts";
import { lacks, skip } from "../../src/lib/testing/skip.ts";
import { programs } from "./packages.ts";
import { withRig } from "./rig.ts";
import { authorityOf, DOMAIN, type Served } from "./servers/tls.ts";

async function keygen(dir: string, name: string): Promise<{ pem: string; line: string }> {
  const words = ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${name}`];
  const { command, args } = await withAccount("/usr/bin/ssh-keygen", words);
  const { success, stderr } = await new Deno.Command(command, { args, env: { HOME: dir } })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const pem = await Deno.readTextFile(`${dir}/${name}`);
  return { pem, line: publicKeyLine(pem) };
}

/** Serves one repository to one key. */
async function serveGit(dir: string, hostPem: string, line: string): Promise<Served> {
  const allowed = ssh2.utils.parseKey(line);
  assert.ok(!(allowed instanceof Error) && !Array.isArray(allowed));
  const open = new Set<{ end(): void }>();
  const server = new ssh2.Server({ hostKeys: [hostPem] }, (client) => {
    open.add(client);
    client.on("error", () => {});
    client.on("close", () => open.delete(client));
    client.on("authentication", (context) => {
      const ok = context.method === "publickey" &&
        context.key.data.equals(allowed.getPublicSSH()) &&
        (context.signature === undefined ||
          allowed.verify(context.blob!, context.signature, context.hashAlgo) === true);
      if (ok) context.accept();
      else context.reject(["publickey"]);
    });
    client.on("session", (accept) => {
      accept().on("exec", (accept, reject, { command }) => {
        const service = /^git-(upload|receive)-pack '/.exec(command)?.[1];
        if (service === undefined) return reject();
        const channel = accept();
        const git = spawn("/usr/bin/git", [`${service}-pack`, `${dir}/repo.git`], {
          env: { PATH: "/usr/bin:/bin", HOME: dir },
          stdio: "pipe",
        });
        channel.pipe(git.stdin!);
        git.stdout!.pipe(channel, { end: false });
        git.stderr!.pipe(channel.stderr, { end: false });
        git.on("close", (code) => {
          channel.exit(code ?? 1);
          channel.end();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    host: `ssh.${DOMAIN}`,
    port: server.address().port,
    async [Symbol.asyncDispose]() {
      for (const client of open) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

Deno.test("git clones and pushes over SSH, and signs what it pushes, with a key in its proxy", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  const missing = await programs("git", "bash");
  if (missing !== null) return await skip(t, missing);
  await withRig(async (rig) => {
    const key = await keygen(rig.servers, "key");
    const host = await keygen(rig.servers, "host");
    // Any line of the key's body would be enough for a thief.
    rig.secrets["key"] = key.pem.split("\n")[3]!;
    const git = (...args: string[]) =>
      new Deno.Command("/usr/bin/git", { args, env: { HOME: rig.servers } }).output();
    await git("init", "-q", "--bare", "-b", "main", `${rig.servers}/repo.git`);
    await using server = await serveGit(rig.servers, host.pem, key.line);
    const url = `ssh://git@${authorityOf(server)}/repo.git`;
    const { code, said } = await rig.run({
      credentials: {
        deploy: {
          value: key.pem,
          servers: [server],
          knownHosts: `[${server.host}]:${server.port} ${host.line}`,
        },
      },
      servers: [server],
      grants: [{ actions: [`tunnel/${server.host}/${server.port}`] }],
      change: { ssh_keys: { deploy: { credential: "deploy", users: ["git"], signs: ["git"] } } },
      script: `
        set -e
        git config --global user.name A; git config --global user.email a@x.org
        git clone -q ${url} tree 2>&1; cd tree; echo words >file; git add file; git commit -qm first
        git push -q origin HEAD:main 2>&1
        git clone -q ${url} again; cat again/file
        echo '== another user'; git ls-remote ssh://root@${
        authorityOf(server)
      }/repo.git 2>&1 || true
        echo '== elsewhere'; git ls-remote ssh://git@other.${DOMAIN}:${server.port}/repo.git 2>&1 || true
      `,
    });
    assert.equal(code, 0, said);
    assert.match(said, /^words$/m);
    assert.match(said, /== another user\n[^]*Permission denied/);
    assert.match(said, /== elsewhere\n[^]*bureau: HTTP\/1\.1 403/);
    const log = await git("--git-dir", `${rig.servers}/repo.git`, "cat-file", "-p", "main");
    assert.match(new TextDecoder().decode(log.stdout), /gpgsig -----BEGIN SSH SIGNATURE-----/);
  });
});
