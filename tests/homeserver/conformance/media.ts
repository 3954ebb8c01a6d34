// SPDX-License-Identifier: Apache-2.0

/** Media: what was uploaded comes back, to those with a token. */
import assert from "node:assert/strict";
import type { Reply } from "../http.ts";
import { enc, type Scenario } from "./world.ts";

const V1 = "/_matrix/client/v1/media";
const bytes = crypto.getRandomValues(new Uint8Array(10_000));

const idOf = (reply: Reply): string => {
  const match = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(reply.body.content_uri);
  assert.ok(match !== null, reply.body.content_uri);
  return `${match[1]}/${match[2]}`;
};

export const media: readonly Scenario[] = [
  {
    name: "what was uploaded is downloaded byte for byte, with its type and name",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob");
      const uploaded = await alice!.call("POST", "/_matrix/media/v3/upload?filename=a%20b.bin", {
        body: bytes,
        headers: { "content-type": "application/x-test" },
      });
      assert.equal(uploaded.status, 200, JSON.stringify(uploaded.body));
      const id = idOf(uploaded);
      const got = await bob!.call("GET", `${V1}/download/${id}`);
      assert.equal(got.status, 200);
      assert.deepEqual(got.body, bytes);
      assert.equal(got.headers.get("content-type"), "application/x-test");
      assert.match(got.headers.get("content-disposition") ?? "", /^attachment; ?filename/);
      assert.match(got.headers.get("content-security-policy") ?? "", /sandbox/);
      const named = await bob!.call("GET", `${V1}/download/${id}/other.bin`);
      assert.match(named.headers.get("content-disposition") ?? "", /other\.bin/);
      const stranger = await world.anybody().call("GET", `${V1}/download/${id}`);
      assert.equal(`${stranger.status} ${stranger.body.errcode}`, "401 M_MISSING_TOKEN");
    },
  },
  {
    name: "a part of a file",
    async run(world) {
      const alice = await world.user("alice");
      const uploaded = await alice.call("POST", "/_matrix/media/v3/upload", {
        body: bytes,
        headers: { "content-type": "application/octet-stream" },
      });
      const path = `${V1}/download/${idOf(uploaded)}`;
      const range = async (value: string) => {
        const reply = await alice.unrecorded("GET", path, { headers: { range: value } });
        // Ranges are an offer: a homeserver may send the whole file.
        return reply.status === 200 ? null : reply;
      };
      const middle = await range("bytes=100-199");
      if (middle === null) return;
      assert.equal(middle.status, 206);
      assert.deepEqual(middle.body, bytes.slice(100, 200));
      assert.equal(middle.headers.get("content-range"), "bytes 100-199/10000");
      assert.deepEqual((await range("bytes=9990-"))!.body, bytes.slice(9_990));
      assert.deepEqual((await range("bytes=-10"))!.body, bytes.slice(-10));
      assert.equal((await range("bytes=20000-"))!.status, 416);
    },
  },
  {
    name: "what is not there, and what is too much",
    async run(world) {
      const alice = await world.user("alice");
      await alice.get(
        `${V1}/download/${world.serverName}/${enc("noSuchMedia0123")}`,
        "404 M_NOT_FOUND",
      );
      const config = (await alice.call("GET", `${V1}/config`)).body;
      const limit = config["m.upload.size"];
      assert.ok(limit >= 1_000_000, String(limit));
    },
  },
];
