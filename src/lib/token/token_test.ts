// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { matchGlob } from "../glob/mod.ts";
import { checkSelf } from "../authorization/mod.ts";
import type { ProxyPolicy } from "../schema/policy.ts";
import {
  Caller,
  generateTokenKey,
  isRole,
  rulesForRole,
  serviceAction,
  type ServiceTrust,
  signToken,
  TOKEN_LIFE_MS,
  TokenError,
  type TokenKey,
  tokenKeyId,
  type TokenRequest,
  TokenVerifier,
  trustFile,
} from "./mod.ts";
import { SKEW_MS } from "./verify.ts";

const MACHINE = "@bureau/fleet/dev/machine/one:bureau.local";
const OTHER_MACHINE = "@bureau/fleet/dev/machine/two:bureau.local";
const SERVICE = "@bureau/fleet/dev/service/echo:bureau.local";
const SUBJECT = "@bureau/fleet/dev/agent/scribe:bureau.local";
const NOW = 1_800_000_000_123;
const grantOf = (...actions: string[]): ProxyPolicy => ({ grants: [{ actions }], denials: [] });

const key = await generateTokenKey();
const other = await generateTokenKey();

function trusted(of: TokenKey, machine: string, until?: number): ServiceTrust["keys"][number] {
  return {
    id: tokenKeyId(of.publicKey),
    machine,
    public_key: of.publicKey,
    ...(until === undefined ? {} : { until }),
  };
}

function verifierOf(
  change: Partial<ServiceTrust> = {},
  now: () => number = () => NOW,
  roles?: readonly string[],
): TokenVerifier {
  const trust: ServiceTrust = {
    version: 1,
    service: SERVICE,
    keys: [trusted(key, MACHINE), trusted(other, OTHER_MACHINE)],
    revoked: {},
    ...change,
  };
  return new TokenVerifier({
    trust: () => Promise.resolve(trust),
    now,
    ...(roles === undefined ? {} : { roles }),
  });
}

function sign(change: Partial<TokenRequest> = {}, by: TokenKey = key): Promise<string> {
  return signToken(by, {
    machine: MACHINE,
    subject: SUBJECT,
    service: SERVICE,
    role: "echo",
    policy: grantOf("service/echo/say"),
    now: NOW,
    ...change,
  });
}

async function refusal(verifier: TokenVerifier, token: string): Promise<TokenError> {
  try {
    await verifier.verify(token);
  } catch (thrown) {
    assert.ok(thrown instanceof TokenError, String(thrown));
    if (token.length > 20) assert.ok(!thrown.message.includes(token));
    return thrown;
  }
  throw new Error("it was accepted");
}

const encode = (value: unknown) =>
  new TextEncoder().encode(JSON.stringify(value))
    .toBase64({ alphabet: "base64url", omitPadding: true });
const decode = (part: string) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })));

/** Signed by us over other text: what somebody with a key of the fleet could write. */
async function handmade(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  by: TokenKey = key,
): Promise<string> {
  const text = `${encode(header)}.${encode(claims)}`;
  const secret = await crypto.subtle.importKey("jwk", by.privateJwk, "Ed25519", false, ["sign"]);
  const value = await crypto.subtle.sign("Ed25519", secret, new TextEncoder().encode(text));
  const signature = new Uint8Array(value).toBase64({ alphabet: "base64url", omitPadding: true });
  return `${text}.${signature}`;
}

Deno.test("a token says who calls and what it may do, on any machine of the fleet", async () => {
  const caller = await verifierOf().verify(await sign());
  assert.ok(caller instanceof Caller);
  assert.equal(caller.subject, SUBJECT);
  assert.equal(caller.machine, MACHINE);
  assert.equal(caller.role, "echo");
  assert.equal(Math.round(caller.expiresAt), NOW + TOKEN_LIFE_MS);
  caller.require("say");
  assert.throws(() => caller.require("shout"), { code: "not-granted", status: 403 });

  const far = await sign({ machine: OTHER_MACHINE }, other);
  assert.equal((await verifierOf().verify(far)).machine, OTHER_MACHINE);
});

Deno.test("a bearer header is read, and its absence told", async () => {
  const verifier = verifierOf();
  const request = (authorization?: string) =>
    new Request("http://echo/", { headers: authorization === undefined ? {} : { authorization } });
  assert.equal((await verifier.caller(request(`Bearer ${await sign()}`))).subject, SUBJECT);
  for (const wrong of [undefined, "Basic abc", "Bearer", "Bearer a b"]) {
    await assert.rejects(verifier.caller(request(wrong)), { code: "no-token", status: 401 });
  }
});

Deno.test("expired, revoked, for another, of an unknown key: refused, each with its own word", async () => {
  const token = await sign();
  const at = (ms: number) => verifierOf({}, () => ms);
  await at(NOW + TOKEN_LIFE_MS - 1).verify(token);
  assert.equal(
    (await refusal(at(NOW + TOKEN_LIFE_MS + SKEW_MS + 1_000), token)).code,
    "token-expired",
  );
  assert.equal((await refusal(at(NOW - SKEW_MS - 1_000), token)).code, "token-malformed");

  const revokedAt = (until: number, machine = MACHINE, subject = SUBJECT) =>
    verifierOf({ revoked: { [machine]: [{ subject, until }] } });
  assert.equal((await refusal(revokedAt(NOW), token)).code, "token-revoked");
  // One made a millisecond later is not meant, nor is another's; and no machine revokes another's tokens.
  await revokedAt(NOW).verify(await sign({ now: NOW + 1 }));
  await revokedAt(NOW, MACHINE, SERVICE).verify(token);
  await revokedAt(NOW, OTHER_MACHINE).verify(token);

  const elsewhere = { service: "@bureau/fleet/dev/service/other:bureau.local" };
  assert.equal((await refusal(verifierOf(elsewhere), token)).code, "token-audience");
  assert.equal((await refusal(verifierOf({}, () => NOW, ["ask"]), token)).code, "token-audience");

  assert.equal((await refusal(verifierOf({ keys: [] }), token)).code, "token-unknown-key");
});

Deno.test("a key that was replaced counts until the last token that it signed has ended", async () => {
  const token = await sign();
  const until = NOW + 1_000;
  const verifier = (now: number) => verifierOf({ keys: [trusted(key, MACHINE, until)] }, () => now);
  await verifier(until).verify(token);
  assert.equal((await refusal(verifier(until + SKEW_MS + 1), token)).code, "token-unknown-key");
});

Deno.test("forged: no algorithm, another one, another's key, another's name, another server's account", async () => {
  const [header, claims, signature] = (await sign()).split(".") as [string, string, string];
  const verifier = verifierOf();
  const plain = decode(header);
  const none = `${encode({ ...plain, alg: "none" })}.${claims}.`;
  assert.match((await refusal(verifier, none)).code, /forged|malformed/);
  // The public key as the secret of an HMAC: the classic confusion.
  const secret = await crypto.subtle.importKey(
    "raw",
    Uint8Array.fromHex(key.publicKey),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const text = `${encode({ ...plain, alg: "HS256" })}.${claims}`;
  const mac = new Uint8Array(
    await crypto.subtle.sign("HMAC", secret, new TextEncoder().encode(text)),
  ).toBase64({ alphabet: "base64url", omitPadding: true });
  assert.equal((await refusal(verifier, `${text}.${mac}`)).code, "token-forged");
  assert.equal(
    (await refusal(
      verifier,
      `${header}.${encode({ ...decode(claims), sub: SERVICE })}.${signature}`,
    ))
      .code,
    "token-forged",
  );
  // The other machine's key, in this machine's name: its own key id, and this one's.
  assert.equal((await refusal(verifier, await sign({}, other))).code, "token-unknown-key");
  const stolen = await handmade(plain, decode(claims), other);
  assert.equal((await refusal(verifier, stolen)).code, "token-forged");
  // A machine that publishes another's key as its own gets nothing in the other's name, and takes nothing away.
  const copied = verifierOf({ keys: [trusted(key, OTHER_MACHINE), trusted(key, MACHINE)] });
  assert.equal((await copied.verify(await sign())).machine, MACHINE);
  const foreign = await sign({ subject: "@bureau/fleet/dev/agent/scribe:elsewhere.example" });
  assert.equal((await refusal(verifier, foreign)).code, "token-forged");
});

Deno.test("a well-signed text that is no service token is none", async () => {
  const [head, body] = (await sign()).split(".");
  const header = decode(head!);
  const claims = decode(body!);
  await verifierOf().verify(await handmade(header, claims));
  const wrong: [Record<string, unknown>, Record<string, unknown>][] = [
    [{ ...header, typ: "JWT" }, claims],
    [{ ...header, typ: undefined }, claims],
    [{ ...header, crit: ["b64"], b64: false }, claims],
    [header, { ...claims, exp: undefined }],
    [header, { ...claims, exp: claims.iat + 3600 }],
    [header, { ...claims, grants: "**" }],
    [header, { ...claims, aud: [SERVICE, "@x:y"] }],
    [header, { ...claims, role: "../echo" }],
    [header, { ...claims, sub: "nobody" }],
    [header, { ...claims, iss: undefined }],
  ];
  for (const [h, c] of wrong) await refusal(verifierOf(), await handmade(h, c));
});

Deno.test("rules travel with their ends and denials, and unrelated ones stay at home (W-8)", async () => {
  const soon = new Date(NOW + 60_000).toISOString();
  const policy: ProxyPolicy = {
    grants: [
      { actions: ["matrix/read", "service/echo/say"], source: "template", ticket: "t" },
      { actions: ["service/*/shout"], expires_at: soon },
      { actions: ["service/ticket/**", "service/ech", "service/echo"] },
      { actions: ["service/**"], targets: ["bureau/fleet/dev/agent/a:bureau.local"] },
      { actions: ["[broken"] },
    ],
    denials: [{ actions: ["http/**"] }, { actions: ["service/echo/mumble", "matrix/**"] }],
  };
  assert.deepEqual(rulesForRole(policy, "echo"), {
    grants: [
      { actions: ["service/echo/say"] },
      { actions: ["service/*/shout"], expires_at: soon },
      { actions: ["service/**"], targets: ["bureau/fleet/dev/agent/a:bureau.local"] },
    ],
    denials: [{ actions: ["service/echo/mumble"] }],
  });
  const token = await sign({ policy });
  let now = NOW;
  const caller = await verifierOf({}, () => now).verify(token);
  caller.require("say");
  caller.require("shout");
  assert.throws(() => caller.require("mumble"), { code: "not-granted" });
  caller.require("read", "@bureau/fleet/dev/agent/a:bureau.local");
  assert.throws(() => caller.require("read", "@bureau/fleet/dev/agent/b:bureau.local"), {
    code: "not-granted",
  });
  now += 60_000;
  assert.equal(caller.decide("shout").allowed, true, "service/** grants it still");
  const broken = rulesForRole(
    { grants: [{ actions: ["**"] }], denials: [{ actions: ["[x"] }] },
    "a",
  );
  assert.equal(checkSelf(broken, "service/a/b", NOW).allowed, false);
});

Deno.test("what is left out of a token never decides: the same answer as from all rules", () => {
  const word = fc.constantFrom(
    "a",
    "b",
    "echo",
    "service",
    "say",
    "*",
    "**",
    "?cho",
    "[",
    "\\",
    "",
  );
  const pattern = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("/"));
  const rule = fc.record({ actions: fc.array(pattern, { maxLength: 3 }) });
  const policy = fc.record({
    grants: fc.array(rule, { maxLength: 4 }),
    denials: fc.array(rule, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(policy, fc.constantFrom("say", "a", "b/say", "echo"), (all, action) => {
      const full = serviceAction("echo", action);
      const some = rulesForRole(all, "echo");
      assert.equal(checkSelf(some, full, NOW).allowed, checkSelf(all, full, NOW).allowed);
      for (const { actions } of some.grants) {
        for (const one of actions) assert.ok(!matchGlob(one, "matrix/read") || one.startsWith("*"));
      }
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("any change of any character, and any text at all, is refused", async () => {
  const token = await sign();
  const verifier = verifierOf();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...alphabet), async (at, char) => {
      // The last character of 64 bytes in base64url has unused bits.
      if (token[at] === char || at === token.length - 1) return;
      await refusal(verifier, token.slice(0, at) + char + token.slice(at + 1));
    }),
    { numRuns: 600 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
      await refusal(verifier, text);
    }),
    { numRuns: 300 },
  );
  await refusal(verifier, `${token}${"x".repeat(70_000)}`);
});

Deno.test("roles are names of files and nothing that leads elsewhere", () => {
  for (const good of ["echo", "model-2", "a_b", "ticket.v1"]) assert.ok(isRole(good), good);
  for (const bad of ["", "..", ".x", "a/b", "A", "a b", "x".repeat(65)]) {
    assert.ok(!isRole(bad), bad);
    assert.throws(() => serviceAction(bad, "say"), { code: "bad-role" });
  }
});

Deno.test("the trust file is read anew when it was replaced, and trusts nobody when it is not there", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/trust.json`;
    const read = trustFile(path);
    await assert.rejects(read(), { code: "no-trust", status: 503 });
    const write = async (trust: unknown) => {
      await Deno.writeTextFile(`${path}.new`, JSON.stringify(trust));
      await Deno.rename(`${path}.new`, path);
    };
    const first: ServiceTrust = { version: 1, service: SERVICE, keys: [], revoked: {} };
    await write(first);
    assert.deepEqual(await read(), first);
    const next = { ...first, keys: [trusted(key, MACHINE)] };
    await write(next);
    assert.deepEqual(await read(), next);
    await write({ version: 2 });
    await assert.rejects(read(), { code: "no-trust" });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
