// SPDX-License-Identifier: Apache-2.0

/** Against OpenSSH's own programs, and an SSH server of the `ssh2` package. */
import assert from "node:assert/strict";
import { withAccount } from "../../lib/testing/account.ts";
import { lacks } from "../../lib/testing/skip.ts";
import fc from "fast-check";
// @ts-types="../../lib/testing/ssh2.d.ts"
import ssh2 from "ssh2";
import { importPrivateKey, publicKeyLine, sshString, uint32 } from "../../lib/ssh/mod.ts";
import { concatBytes } from "../../lib/bytes.ts";
import type { BoundSshKey } from "../api.ts";
import { type SshDecision, SshKeyring } from "./keyring.ts";
import { SshAgentServer } from "./server.ts";

interface Bed {
  readonly dir: string;
  readonly env: Record<string, string>;
  readonly decisions: SshDecision[];
  /** Runs a program to its end. */
  run(
    command: string,
    args: string[],
    stdin?: string,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  keygen(name: string): Promise<{ pem: string; line: string }>;
}

const GIT = { GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };

async function withBed(
  body: (bed: Bed) => Promise<void>,
  keys: (bed: Bed) => Promise<Record<string, BoundSshKey>>,
) {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-agent-" });
  const decisions: SshDecision[] = [];
  const bed: Bed = {
    dir,
    env: { ...GIT, HOME: dir, PATH: "/usr/bin:/bin", SSH_AUTH_SOCK: `${dir}/agent.sock` },
    decisions,
    async run(command, args, stdin) {
      const known = await withAccount(command, args);
      const child = new Deno.Command(known.command, {
        args: known.args,
        env: bed.env,
        clearEnv: true,
        cwd: dir,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin ?? "")).catch(() => {});
      await writer.close().catch(() => {});
      const { code, stdout, stderr } = await child.output();
      const text = new TextDecoder();
      return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
    },
    async keygen(name) {
      await bed.run("/usr/bin/ssh-keygen", [
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        `${dir}/${name}`,
      ]);
      const pem = await Deno.readTextFile(`${dir}/${name}`);
      await Deno.remove(`${dir}/${name}`);
      return { pem, line: publicKeyLine(pem) };
    },
  };
  const server = new SshAgentServer({
    path: `${dir}/agent.sock`,
    keyring: await SshKeyring.load(await keys(bed)),
    onDecision: (decision) => decisions.push(decision),
  });
  try {
    await body(bed);
  } finally {
    await server.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const blobOf = (line: string) => line.split(" ")[1]!;

/** A server that lets `line`'s key in as anybody, and answers every command with `welcome`. */
async function sshServer(hostPem: string, line: string) {
  const key = ssh2.utils.parseKey(line);
  assert.ok(!(key instanceof Error) && !Array.isArray(key));
  const open = new Set<{ end(): void }>();
  const server = new ssh2.Server({ hostKeys: [hostPem] }, (client) => {
    open.add(client);
    client.on("authentication", (context) => {
      const ok = context.method === "publickey" && context.key.data.equals(key.getPublicSSH()) &&
        (context.signature === undefined ||
          key.verify(context.blob!, context.signature, context.hashAlgo) === true);
      if (ok) context.accept();
      else context.reject(["publickey"]);
    });
    client.on("error", () => {});
    client.on("close", () => open.delete(client));
    client.on("session", (accept) => {
      accept().on("exec", (accept) => {
        const stream = accept();
        stream.write("welcome\n");
        stream.exit(0);
        stream.end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    port: server.address().port,
    async close() {
      for (const client of open) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function login(bed: Bed, port: number, host: string, user = "git", ...more: string[]) {
  return bed.run("/usr/bin/ssh", [
    ...["-F", "none", "-p", String(port), "-o", "BatchMode=yes"],
    ...["-o", `UserKnownHostsFile=${bed.dir}/known`, "-o", "StrictHostKeyChecking=accept-new"],
    ...["-o", `HostKeyAlias=${host}`, ...more, `${user}@127.0.0.1`, "true"],
  ]);
}

Deno.test("ssh logs in to the host that a key is for, as whom it is for, and nowhere else", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  let key: { pem: string; line: string };
  let named: { pem: string; line: string };
  await withBed(async (bed) => {
    const other = await bed.keygen("other");
    const right = await sshServer(named.pem, key.line);
    const wrong = await sshServer(other.pem, key.line);
    try {
      const shown = await bed.run("/usr/bin/ssh-add", ["-L"]);
      assert.equal(shown.stdout, `${key.line} deploy\n`);

      const welcome = await login(bed, right.port, "right");
      assert.equal(welcome.stdout, "welcome\n", welcome.stderr);
      assert.deepEqual(bed.decisions.at(-1), {
        verdict: "allowed",
        key: "deploy",
        what: "login git@git.example.org:22",
      });

      for (
        const [attempt, why] of [
          [() => login(bed, wrong.port, "wrong"), /host that it is not for/],
          [() => login(bed, right.port, "right", "root"), /login as "root"/],
        ] as const
      ) {
        const refused = await attempt();
        assert.equal(refused.code, 255);
        assert.match(refused.stderr, /agent refused operation|Permission denied/);
        assert.match(bed.decisions.at(-1)!.what, why);
      }
      // The same server lets the same key in where this agent isn't asked for its opinion.
      await Deno.writeTextFile(`${bed.dir}/id`, key.pem, { mode: 0o600 });
      const without = await login(
        bed,
        wrong.port,
        "wrong",
        "root",
        ...["-o", "IdentityAgent=none", "-i", `${bed.dir}/id`],
      );
      assert.equal(without.stdout, "welcome\n", without.stderr);
    } finally {
      await right.close();
      await wrong.close();
    }
  }, async (bed) => {
    key = await bed.keygen("key");
    named = await bed.keygen("host");
    return {
      deploy: {
        name: "deploy",
        private_key: key.pem,
        hosts: [{ host: "git.example.org:22", key: blobOf(named.line) }],
        users: ["git"],
        signs: [],
      },
    };
  });
});

Deno.test("git signs commits with a key that may, and with no other; nothing else is signed", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  let signer: { pem: string; line: string };
  let silent: { pem: string; line: string };
  await withBed(async (bed) => {
    const git = (...args: string[]) =>
      bed.run("/usr/bin/git", [
        ...["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gpg.format=ssh"],
        ...[
          "-c",
          `gpg.ssh.allowedSignersFile=${bed.dir}/allowed`,
          "-C",
          `${bed.dir}/tree`,
          ...args,
        ],
      ]);
    await Deno.mkdir(`${bed.dir}/tree`);
    await git("init", "-q");
    await Deno.writeTextFile(`${bed.dir}/allowed`, `a@example.org ${signer.line}\n`);
    const commit = (line: string) =>
      git("-c", `user.signingKey=key::${line}`, "commit", "-q", "-S", "--allow-empty", "-m", "x");

    const signed = await commit(signer.line);
    assert.equal(signed.code, 0, signed.stderr);
    const verified = await git("verify-commit", "HEAD");
    assert.match(verified.stderr, /Good "git" signature for a@example.org/);

    assert.notEqual((await commit(silent.line)).code, 0);
    assert.match(bed.decisions.at(-1)!.what, /signature for "git"/);

    await Deno.writeTextFile(`${bed.dir}/signer.pub`, `${signer.line}\n`);
    const file = await bed.run("/usr/bin/ssh-keygen", [
      ...["-Y", "sign", "-f", `${bed.dir}/signer.pub`, "-n", "file"],
    ], "text");
    assert.notEqual(file.code, 0);
    assert.match(bed.decisions.at(-1)!.what, /signature for "file"/);
  }, async (bed) => {
    signer = await bed.keygen("signer");
    silent = await bed.keygen("silent");
    return {
      signer: { name: "signer", private_key: signer.pem, hosts: [], signs: ["git"] },
      silent: { name: "silent", private_key: silent.pem, hosts: [], signs: [] },
    };
  });
});

Deno.test("made-up sessions, forwarded ones and data of other shapes get no signature", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-agent-" });
  try {
    const make = async (name: string) => {
      const words = ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${name}`];
      const { command, args } = await withAccount("/usr/bin/ssh-keygen", words);
      await new Deno.Command(command, { args, env: { HOME: dir } }).output();
      const pem = await Deno.readTextFile(`${dir}/${name}`);
      return { pem, key: await importPrivateKey(pem) };
    };
    const mine = await make("mine");
    const host = await make("host");
    const decisions: SshDecision[] = [];
    const ring = await SshKeyring.load({
      k: {
        name: "k",
        private_key: mine.pem,
        hosts: [{ host: "h:22", key: host.key.publicBlob.toBase64() }],
        signs: [],
      },
    });
    const id = crypto.getRandomValues(new Uint8Array(32));
    const proof = (await host.key.sign(id, 0))!;
    const bind = (session: Uint8Array, forwarding = 0) =>
      concatBytes([
        Uint8Array.of(27),
        sshString("session-bind@openssh.com"),
        sshString(host.key.publicBlob),
        sshString(session),
        sshString(proof),
        Uint8Array.of(forwarding),
      ]);
    const userauth = (session: Uint8Array, tail: Uint8Array = new Uint8Array()) =>
      concatBytes([
        sshString(session),
        Uint8Array.of(50),
        ...["git", "ssh-connection", "publickey"].map(sshString),
        Uint8Array.of(1),
        sshString("ssh-ed25519"),
        sshString(mine.key.publicBlob),
        tail,
      ]);
    const sign = (data: Uint8Array) =>
      concatBytes([
        Uint8Array.of(13),
        sshString(mine.key.publicBlob),
        sshString(data),
        uint32(0),
      ]);
    const fresh = () => ring.session((decision) => decisions.push(decision));
    const other = crypto.getRandomValues(new Uint8Array(32));
    // The control: a session that the host signed, and a login that names it.
    const good = fresh();
    assert.equal((await good.answer(bind(id)))[0], 6);
    assert.equal((await good.answer(sign(userauth(id))))[0], 14);

    const cases: [string, Uint8Array | null, Uint8Array][] = [
      ["no session", null, userauth(id)],
      ["a session that the host did not sign", bind(other), userauth(other)],
      ["a forwarded one", bind(id, 1), userauth(id)],
      ["a login to another session", bind(id), userauth(other)],
      ["something behind the login", bind(id), userauth(id, Uint8Array.of(0))],
      ["plain bytes", bind(id), new TextEncoder().encode("sign me")],
      ["nothing", bind(id), new Uint8Array()],
    ];
    for (const [name, first, data] of cases) {
      const session = fresh();
      if (first !== null) await session.answer(first);
      assert.deepEqual([...await session.answer(sign(data))], [5], name);
      assert.equal(decisions.at(-1)!.verdict, "refused", name);
    }
    // One connection's session is no other's.
    assert.equal((await fresh().answer(sign(userauth(id))))[0], 5);

    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const session = fresh();
      await session.answer(bind(id));
      const answer = await session.answer(bytes);
      assert.ok(answer[0] === 5 || answer[0] === 12);
      assert.equal((await session.answer(sign(bytes)))[0], 5);
    }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
