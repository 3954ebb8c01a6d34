// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { withAccount } from "../testing/account.ts";
import { lacks } from "../testing/skip.ts";
import fc from "fast-check";
import {
  formatKnownHosts,
  importPrivateKey,
  parseKnownHosts,
  publicKeyLine,
  RSA_SHA2_256,
  RSA_SHA2_512,
  SshFormatError,
  SshReader,
  verifySignature,
} from "./mod.ts";

/** A key made by OpenSSH itself. */
async function generate(...args: string[]): Promise<{ pem: string; line: string }> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-ssh-" });
  try {
    const words = ["-q", "-N", "", "-C", "someone", "-f", `${dir}/key`, ...args];
    const keygen = await withAccount("/usr/bin/ssh-keygen", words);
    const { success, stderr } = await new Deno.Command(keygen.command, {
      args: keygen.args,
      env: { HOME: dir },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return {
      pem: await Deno.readTextFile(`${dir}/key`),
      line: (await Deno.readTextFile(`${dir}/key.pub`)).trim().split(" ").slice(0, 2).join(" "),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const KINDS: [string, string[], number][] = [
  ["Ed25519", ["-t", "ed25519"], 0],
  ["ECDSA P-256", ["-t", "ecdsa", "-b", "256"], 0],
  ["ECDSA P-384", ["-t", "ecdsa", "-b", "384"], 0],
  ["RSA with SHA-256", ["-t", "rsa", "-b", "2048"], RSA_SHA2_256],
  ["RSA with SHA-512", ["-t", "rsa", "-b", "2048"], RSA_SHA2_512],
];
for (const [name, args, flags] of KINDS) {
  Deno.test(`${name}: a key of ssh-keygen signs, and only what it signed verifies`, async (t) => {
    if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
    const { pem, line } = await generate(...args);
    assert.equal(publicKeyLine(pem), line);
    const key = await importPrivateKey(pem);
    const data = crypto.getRandomValues(new Uint8Array(200));
    // ECDSA signatures hold numbers of varying length.
    for (let round = 0; round < 8; round++) {
      const signature = await key.sign(data, flags);
      assert.ok(signature !== null);
      assert.ok(await verifySignature(key.publicBlob, signature, data));
      const other = data.slice();
      other[round]! ^= 1;
      assert.ok(!await verifySignature(key.publicBlob, signature, other));
    }
    const stranger = await importPrivateKey((await generate(...args)).pem);
    const signature = await stranger.sign(data, flags);
    assert.ok(!await verifySignature(key.publicBlob, signature!, data));
  });
}

Deno.test("RSA without SHA-2 is not done; a passphrase and other files say what to do", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  const rsa = await importPrivateKey((await generate("-t", "rsa", "-b", "2048")).pem);
  assert.equal(await rsa.sign(new Uint8Array(8), 0), null);
  const sealed = await generate("-t", "ed25519", "-N", "a passphrase");
  assert.throws(() => publicKeyLine(sealed.pem), /has a passphrase/);
  assert.throws(() => publicKeyLine("-----BEGIN RSA PRIVATE KEY-----\nxx"), /not an OpenSSH/);
  const { pem } = await generate("-t", "ed25519");
  const damaged = pem.replace(/\n.{10}/, "\nAAAAAAAAAA");
  await assert.rejects(() => importPrivateKey(damaged), (thrown) => {
    assert.ok(thrown instanceof SshFormatError);
    // A message may be shown and logged.
    for (const row of pem.split("\n").slice(1, -2)) assert.ok(!thrown.message.includes(row));
    return true;
  });
});

Deno.test("known hosts: plain names and ports; what says less than it seems to is refused", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  const key = (await generate("-t", "ed25519")).line.split(" ")[1]!;
  const text = `# mine\nGit.Example.org,10.0.0.1 ssh-ed25519 ${key} comment\n\n` +
    `[git.example.org]:2222 ssh-ed25519 ${key}\n`;
  const hosts = parseKnownHosts(text);
  assert.deepEqual(hosts.map(({ host }) => host), [
    "git.example.org:22",
    "10.0.0.1:22",
    "git.example.org:2222",
  ]);
  assert.deepEqual(parseKnownHosts(formatKnownHosts(hosts)), hosts);
  for (
    const [line, why] of [
      [`@cert-authority *.org ssh-ed25519 ${key}`, /@cert-authority/],
      [`|1|abc=|def= ssh-ed25519 ${key}`, /hashed/],
      [`*.org ssh-ed25519 ${key}`, /\*\.org/],
      [`!x.org ssh-ed25519 ${key}`, /!x\.org/],
      [`x.org ssh-rsa ${key}`, /no(t)? a key of type/],
      ["x.org ssh-ed25519", /HOST TYPE KEY/],
    ] as const
  ) {
    assert.throws(() => parseKnownHosts(`# one\n${line}`), why);
    assert.throws(() => parseKnownHosts(`# one\n${line}`), /line 2/);
  }
});

Deno.test("whatever bytes come, reading and verifying end in a value or a format error", async () => {
  await fc.assert(fc.asyncProperty(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }),
    async (a, b) => {
      assert.equal(await verifySignature(a, b, a), false);
      const reader = new SshReader(a);
      try {
        while (reader.remaining > 0) reader.mpint();
      } catch (thrown) {
        assert.ok(thrown instanceof SshFormatError);
      }
    },
  ));
});
