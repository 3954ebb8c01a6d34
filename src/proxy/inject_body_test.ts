// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { BodyPolicy, MAX_INJECTED_BODY } from "./inject_body.ts";
import { withProxy } from "./testing/harness.ts";

const SECRET = "s3cret-api-key&more";
const policy = new BodyPolicy({ "/auth/token": SECRET, api_key: SECRET });

async function inject(type: string, body: string, headers: Record<string, string> = {}) {
  const bytes = await policy.toUpstream(
    new Headers({ "content-type": type, ...headers }),
    new Blob([body]).stream(),
    null,
  );
  return new TextDecoder().decode(bytes);
}

Deno.test("BodyPolicy puts a credential in its place in JSON, over the caller's own", async () => {
  const type = "application/json; charset=utf-8";
  assert.equal(
    await inject(
      type,
      '{"auth":{"token":"mine","k":1},"auth":{"token":"again"},"n":12345678901234567890}',
    ),
    `{"auth":{"token":"${SECRET}"},"n":12345678901234567890}`,
  );
  assert.equal(await inject("application/vnd.api+json", "{}"), `{"auth":{"token":"${SECRET}"}}`);
  for (const wrong of ["[]", '"text"', "null", '{"auth":"text"}', "{", ""]) {
    await assert.rejects(inject(type, wrong), { status: 400 }, wrong);
  }
  const odd = new BodyPolicy({ "/__proto__/a~1b": SECRET, "/list/0": SECRET });
  const bytes = await odd.toUpstream(
    new Headers({ "content-type": type }),
    new Blob(['{"list":["mine",1.50]}']).stream(),
    null,
  );
  assert.equal(
    new TextDecoder().decode(bytes),
    `{"list":["${SECRET}",1.50],"__proto__":{"a/b":"${SECRET}"}}`,
  );
});

Deno.test("BodyPolicy puts a credential into a form, in the place of every spelling of its field", async () => {
  const type = "application/x-www-form-urlencoded";
  const value = encodeURIComponent(SECRET);
  assert.equal(
    await inject(type, "a=1&api_key=mine&API%5fKEY=mine&api_key[]=mine;api_key=x&b=%20+"),
    `a=1&b=%20+&api_key=${value}`,
  );
  assert.equal(await inject(type, ""), `api_key=${value}`);
});

Deno.test("BodyPolicy refuses what it can't read or hold", async () => {
  await assert.rejects(inject("text/plain", "a=1"), { status: 415, code: "body-type" });
  await assert.rejects(inject("application/json", "{}", { "content-encoding": "gzip" }), {
    status: 415,
  });
  // Whether its length was said or is counted as it comes.
  const tooLong = policy.toUpstream(
    new Headers({ "content-type": "application/json" }),
    new Blob(["{}"]).stream(),
    MAX_INJECTED_BODY + 1,
  );
  await assert.rejects(tooLong, { status: 413 });
  await assert.rejects(inject("application/json", `"${"x".repeat(MAX_INJECTED_BODY)}"`), {
    status: 413,
    code: "body-too-large",
  });
});

Deno.test("forward() injects into bodies, and takes the credential out of what comes back", async () => {
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const text = await request.text();
      return Response.json({
        right: text === `{"q":1,"auth":{"token":"${SECRET}"}}`,
        length: request.headers.get("content-length"),
        echo: text,
      });
    },
  );
  const services = {
    up: {
      upstream: `http://127.0.0.1:${upstream.addr.port}`,
      inject_headers: {},
      inject_body: { "/auth/token": SECRET },
      strip_headers: [],
    },
  };
  await withProxy({ services }, async ({ get }) => {
    const post = (body: BodyInit, type = "application/json") =>
      get("/http/up/", { method: "POST", body, headers: { "content-type": type } });
    const response = await post('{"q":1,"auth":{"token":"mine"}}');
    const seen = await response.text();
    assert.match(seen, /"right":true,"length":"46"/);
    assert.ok(!seen.includes(SECRET), seen);
    const refused = await post("x", "text/plain");
    assert.equal(refused.status, 415);
    await refused.body?.cancel();
    // Nothing to put it into: as it is.
    assert.match(await (await get("/http/up/")).text(), /"right":false,"length":null,"echo":""/);
  });
  await upstream.shutdown();
});
