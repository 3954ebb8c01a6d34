// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { addressBytes, issueCertificate, type Issuer, pem } from "./mod.ts";

const DAY = 86_400_000;

async function keyPair(): Promise<{ pair: CryptoKeyPair; publicKey: Uint8Array }> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  return { pair, publicKey: new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)) };
}

async function authority(): Promise<{ issuer: Issuer; certificate: string }> {
  const { pair, publicKey } = await keyPair();
  const issuer = { commonName: "Test CA", key: pair.privateKey, publicKey };
  const certificate = await issueCertificate(issuer, {
    commonName: issuer.commonName,
    publicKey,
    serial: Uint8Array.of(1),
    notBefore: Date.now() - DAY,
    notAfter: Date.now() + DAY,
    role: { kind: "authority" },
  });
  return { issuer, certificate };
}

Deno.test("issueCertificate() makes what openssl verifies, strictly, for that name alone", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-" });
  const { issuer, certificate } = await authority();
  const other = await authority();
  await Deno.writeTextFile(`${dir}/ca.pem`, certificate);
  await Deno.writeTextFile(`${dir}/other.pem`, other.certificate);
  for (
    const [host, flag] of [
      ["api.example.test", "-verify_hostname"],
      ["127.0.0.1", "-verify_ip"],
      ["2001:db8::17", "-verify_ip"],
    ] as const
  ) {
    const { publicKey } = await keyPair();
    const leaf = await issueCertificate(issuer, {
      commonName: "leaf",
      publicKey,
      // A serial whose first bit is set would be negative without a zero before it.
      serial: Uint8Array.from({ length: 16 }, () => 0xff),
      notBefore: Date.now() - DAY,
      notAfter: Date.now() + DAY,
      role: { kind: "server", host },
    });
    await Deno.writeTextFile(`${dir}/leaf.pem`, leaf);
    const verify = async (ca: string, ...args: string[]) => {
      const { code, stderr } = await new Deno.Command("openssl", {
        args: [
          ...["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", `${dir}/${ca}`],
          ...args,
          `${dir}/leaf.pem`,
        ],
      }).output();
      return code === 0 ? "ok" : new TextDecoder().decode(stderr);
    };
    assert.equal(await verify("ca.pem", flag, host), "ok");
    // The controls: another name, another authority of the same name.
    assert.match(await verify("ca.pem", "-verify_hostname", "other.test"), /mismatch/i);
    assert.notEqual(await verify("other.pem", flag, host), "ok");
    const read = new X509Certificate(leaf);
    assert.equal(read.ca, false);
    assert.equal(flag === "-verify_ip" ? read.checkIP(host) : read.checkHost(host), host);
  }
  assert.equal(new X509Certificate(certificate).ca, true);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("addressBytes() reads what is an address and takes no name for one", () => {
  assert.equal(addressBytes("api.test"), null);
  assert.deepEqual(addressBytes("10.0.0.255"), Uint8Array.of(10, 0, 0, 255));
  fc.assert(fc.property(fc.ipV6(), (text) => {
    const bytes = addressBytes(text);
    assert.equal(bytes?.length, 16);
    const groups = Array.from({ length: 8 }, (_, at) => {
      return (bytes![at * 2]! << 8 | bytes![at * 2 + 1]!).toString(16);
    });
    assert.deepEqual(addressBytes(groups.join(":")), bytes);
  }));
});

Deno.test("pem() writes lines of 64", () => {
  assert.match(pem("X", new Uint8Array(100)), /^-----BEGIN X-----\n.{64}\n.{64}\n.{8}\n-----END/);
});
