// SPDX-License-Identifier: Apache-2.0

/** Reading and following resources by the official client. */
import assert from "node:assert/strict";
import type { Resource } from "./resources.ts";
import { resolveResource } from "./resources.ts";
import { eventually, grants, Scene } from "./testing/scene.ts";

const common = { title: "t", description: "d", mimeType: "application/json" } as const;

const updated = (scene: Scene) =>
  scene.heard.filter(({ method }) => method === "notifications/resources/updated")
    .map(({ params }) => params["uri"]);

Deno.test("resources are there for whoever has their right, and addresses lead to one alone", async () => {
  const read: unknown[] = [];
  const make = (uri: string, action: string): Resource => ({
    ...common,
    uri,
    name: uri,
    action,
    read: (variables) => {
      read.push(variables);
      return Promise.resolve({ uri, ...variables });
    },
  });
  const resources = [
    make("bureau://identity", "resource/identity"),
    make("bureau://agents/{name}", "resource/agents"),
    make("bureau://agents/{name}/screen", "resource/agents"),
  ];
  await using scene = await Scene.start({ resources, policy: grants("resource/identity") });
  const listed = async () => (await scene.client.listResources()).resources.map(({ uri }) => uri);
  const templates = async () =>
    (await scene.client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) =>
      uriTemplate
    );
  const text = async (uri: string) =>
    (await scene.client.readResource({ uri })).contents.map((one) => "text" in one ? one.text : "");
  assert.deepEqual(await listed(), ["bureau://identity"]);
  assert.deepEqual(await templates(), []);
  await assert.rejects(text("bureau://agents/a"), { code: -32002 });
  await assert.rejects(scene.client.subscribeResource({ uri: "bureau://agents/a" }), {
    code: -32002,
  });
  assert.deepEqual(read, []);
  // Control.
  await scene.grant(grants("**"));
  await eventually(() =>
    scene.heard.some(({ method }) => method === "notifications/resources/list_changed")
  );
  assert.deepEqual(await templates(), ["bureau://agents/{name}", "bureau://agents/{name}/screen"]);
  assert.match((await text("bureau://agents/service%2Fecho/screen"))[0]!, /"name":"service\/echo"/);
  for (
    const uri of ["bureau://agents/a/b", "bureau://agents/%zz", "bureau://", "file:///etc/passwd"]
  ) {
    await assert.rejects(text(uri), { code: -32002 }, uri);
  }
  assert.equal(resolveResource(resources, "bureauX//identity"), null);
});

Deno.test("who follows a resource hears of each change, until they stop or their right ends", async () => {
  let change: (() => void) | null = null;
  let followers = 0;
  let looked = "a";
  await using scene = await Scene.start({
    resources: [
      {
        ...common,
        uri: "bureau://asks",
        name: "asks",
        action: "resource/asks",
        read: () => Promise.resolve({}),
        follow: (changed, signal) => {
          change = changed;
          followers++;
          return new Promise((resolve) =>
            signal.addEventListener("abort", () => {
              followers--;
              resolve();
            })
          );
        },
      },
      {
        ...common,
        uri: "bureau://agents",
        name: "agents",
        action: "resource/agents",
        read: () => Promise.resolve(looked),
      },
    ],
  });
  await scene.client.subscribeResource({ uri: "bureau://asks" });
  await scene.client.subscribeResource({ uri: "bureau://asks" });
  await eventually(() => followers === 1);
  change!();
  await eventually(() => updated(scene).includes("bureau://asks"));
  await scene.client.unsubscribeResource({ uri: "bureau://asks" });
  await eventually(() => followers === 0);
  // One without a stream is looked at.
  await scene.client.subscribeResource({ uri: "bureau://agents" });
  await eventually(async () => {
    looked += "b";
    await scene.client.ping();
    return updated(scene).includes("bureau://agents");
  });
  await scene.client.setLoggingLevel("debug");
  await scene.grant(grants("resource/asks"));
  await eventually(() =>
    scene.heard.some(({ method, params }) =>
      method === "notifications/message" && /bureau:\/\/agents/.test(String(params["data"]))
    )
  );
});
