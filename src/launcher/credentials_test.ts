// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { CredentialBundle, CredentialPart } from "../lib/schema/events.ts";
import { generateMachineKey, sealBundle, sealedText } from "../lib/sealed/mod.ts";
import { generateSigningKey, signContent } from "../lib/signature/mod.ts";
import { openCredentials, refuseExpired, refuseReplayed } from "./credentials.ts";
import { Journal } from "./journal.ts";

type Credential = CredentialBundle["credentials"][string];

const WHO = "@bureau/fleet/dev/agent/scribe:bureau.local";
const machine = await generateMachineKey();
const operator = await generateSigningKey();
const HOSTS = ["api.example:443"];

const seal = (credentials: Record<string, Credential>, principal = WHO) =>
  sealBundle({ version: 1, principal, credentials }, [machine.recipient]);

async function part(
  name: string,
  credential: Credential,
  change: Partial<CredentialPart> = {},
  key = operator,
): Promise<CredentialPart> {
  return await signContent({
    version: 1 as const,
    principal: WHO,
    name,
    kind: "static" as const,
    allowed_hosts: [],
    encrypted_for: [],
    ciphertext: await seal({ [name]: credential }),
    issued_by: "@operator:bureau.local",
    issued_at: 1_000,
    ...change,
  }, key);
}

const plain = (value: string): Credential => ({ value, allowed_hosts: HOSTS });

async function open(base: string, parts: Record<string, CredentialPart>) {
  return await openCredentials(sealedText({ ciphertext: base, parts }), {
    identity: machine.identity,
    principal: WHO,
    operatorKeys: [operator.publicKey],
  });
}

Deno.test("openCredentials() joins the bundle and its parts; a part stands for what has its name", async () => {
  const base = await seal({ old: plain("o"), both: plain("base") });
  assert.deepEqual((await open(base, {})).bundle.credentials, {
    old: plain("o"),
    both: plain("base"),
  });
  const opened = await open(base, {
    both: await part("both", plain("part")),
    more: await part("more", plain("m"), { expires_at: 5_000, issued_at: 2_000 }),
  });
  assert.deepEqual(opened.bundle.credentials, {
    old: plain("o"),
    both: plain("part"),
    more: { ...plain("m"), expires_at: 5_000 },
  });
  assert.deepEqual(opened.issued, { both: 1_000, more: 2_000 });
});

Deno.test("a rotation replaces the secrets of a part and nothing else", async () => {
  const base = await seal({});
  const ssh: Credential = { value: "key 1", allowed_hosts: ["git:22"], known_hosts: "git k" };
  const rotated = await part("key", ssh, { rotated: await seal({ key: plain("key 2") }) });
  const login: Credential = {
    value: "",
    allowed_hosts: HOSTS,
    places: ["header"],
    oauth2: {
      token_url: "https://api.example/token",
      client_id: "c",
      client_secret: "s",
      refresh_token: "r1",
      access_token: "a1",
      expires_at: 1,
    },
  };
  const renewed = await part("login", login, {
    rotated: await seal({
      login: {
        value: "",
        allowed_hosts: [],
        headers: { account: "2" },
        oauth2: { token_url: "", client_id: "", refresh_token: "r2" },
      },
    }),
  });
  const { bundle } = await open(base, { key: rotated, login: renewed });
  assert.deepEqual(bundle.credentials["key"], { ...ssh, value: "key 2" });
  assert.deepEqual(bundle.credentials["login"], {
    ...login,
    headers: { account: "2" },
    oauth2: {
      token_url: "https://api.example/token",
      client_id: "c",
      client_secret: "s",
      refresh_token: "r2",
    },
  });
});

Deno.test("a part that no operator signed for this principal and name is refused", async (t) => {
  const base = await seal({ shared: plain("s") });
  const good = await part("other", { ...plain("x"), ca: "their CA" });
  const stranger = await generateSigningKey();
  const cases: readonly (readonly [string, Record<string, CredentialPart>, string])[] = [
    // Everybody knows the machine's public key, so anybody can seal: only the signature tells.
    ["sealed by a stranger", {
      other: await part("other", plain("x"), {}, stranger),
    }, "bad-signature"],
    ["changed after signing", {
      other: { ...good, rotated: await seal({ other: plain("y") }) },
    }, "bad-signature"],
    ["its end taken away", {
      other: (({ expires_at: _, ...rest }) => rest)(
        await part("other", plain("x"), { expires_at: 9 }),
      ),
    }, "bad-signature"],
    ["under another name", { shared: good }, "foreign-bundle"],
    ["another principal's", {
      other: await part("other", plain("x"), { principal: "@another:bureau.local" }),
    }, "foreign-bundle"],
    ["sealed for another principal", {
      other: await part("other", plain("x"), {
        ciphertext: await seal({ other: plain("x") }, "@another:bureau.local"),
      }),
    }, "foreign-bundle"],
    ["sealed as another", {
      other: await part("other", plain("x"), { ciphertext: await seal({ shared: plain("x") }) }),
    }, "foreign-bundle"],
  ];
  for (const [title, parts, code] of cases) {
    await t.step(title, async () => {
      await assert.rejects(open(base, parts), { code });
    });
  }
  // The control: in order, it is taken.
  assert.deepEqual((await open(base, { other: good })).bundle.credentials["other"]?.ca, "their CA");
});

Deno.test("a credential older than one that was seen is refused, over restarts", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const journal = new Journal(dir);
    await journal.open();
    const of = (issuedCredentials: Record<string, number>) => ({ userId: WHO, issuedCredentials });
    await refuseReplayed(journal, "h", of({ a: 5 }));
    await journal.seeCredentials("h", { a: 5 });
    await journal.seeCredentials("h", { b: 7 });
    const later = new Journal(dir);
    await refuseReplayed(later, "h", of({ a: 5, b: 8, c: 1 }));
    await assert.rejects(refuseReplayed(later, "h", of({ a: 4 })), { code: "replayed" });
    await Deno.writeTextFile(`${dir}/seen/h.credentials`, "{");
    await assert.rejects(refuseReplayed(later, "h", of({ a: 9 })), { code: "seen-damaged" });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("an expired credential is refused where it is used, and only there", () => {
  const spec = {
    required_credentials: [],
    proxy_services: { api: { upstream: "https://a", inject_headers: { Authorization: "used" } } },
    placeholders: {},
    secret_files: { f: "filed" },
    ssh_keys: {},
  } as unknown as Parameters<typeof refuseExpired>[0]["spec"];
  const of = (ends: Record<string, number>) => ({
    userId: WHO,
    spec,
    bundle: {
      version: 1 as const,
      principal: WHO,
      credentials: Object.fromEntries(
        Object.entries(ends).map(([name, expires_at]) => [name, { ...plain("x"), expires_at }]),
      ),
    },
  });
  refuseExpired(of({ used: 11, unused: 3 }), 10);
  for (const name of ["used", "filed"]) {
    assert.throws(() => refuseExpired(of({ [name]: 10 }), 10), { code: "credential-expired" });
  }
});
