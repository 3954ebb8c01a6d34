// SPDX-License-Identifier: Apache-2.0

/**
 * The protocol's own conformance suite, against the server with tools and resources of the names that the
 * suite asks for; and the official inspector, against `bureau mcp serve` of a real Bureau.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import type { Resource } from "../../src/mcp/resources.ts";
import { Scene, tool, withFront } from "../../src/mcp/testing/scene.ts";
import { ROOT, withBureau } from "../e2e/harness.ts";
import { packages } from "../interop/packages.ts";

/** What Bureau does not serve: prompts, completion, questions to the model or by forms, pictures and sound. */
const NOT_SERVED = [
  ...["completion-complete", "json-schema-2020-12", "resources-read-binary"],
  ...[
    "image",
    "audio",
    "embedded-resource",
    "mixed-content",
    "with-logging",
    "sampling",
    "elicitation",
  ]
    .map((name) => `tools-call-${name}`),
  ...["elicitation-sep1034-defaults", "elicitation-sep1330-enums"],
  ...["list", "get-simple", "get-with-args", "get-embedded-resource", "get-with-image"]
    .map((name) => `prompts-${name}`),
];

const TOOLS = [
  tool({ name: "test_simple_text" }),
  tool({
    name: "test_error_handling",
    call: () => Promise.reject(new Error("This tool intentionally returns an error for testing")),
  }),
  tool({
    name: "test_tool_with_progress",
    call: (_, { line }) => {
      for (const at of ["0", "50", "100"]) line(at);
      return Promise.resolve({});
    },
  }),
];

const resource = (uri: string, mimeType: string): Resource => ({
  uri,
  name: uri,
  title: uri,
  description: uri,
  mimeType,
  action: "resource/test",
  read: (variables) => Promise.resolve({ uri, ...variables }),
});

Deno.test("the protocol's conformance suite finds nothing in what is served", async (t) => {
  const found = await packages("mcp");
  if ("reason" in found) return await skip(t, found.reason);
  await using suite = found;
  await using scene = await Scene.start({ tools: TOOLS });
  const resources = [
    resource("test://static-text", "text/plain"),
    resource("test://watched-resource", "text/plain"),
    resource("test://template/{id}/data", "application/json"),
  ];
  const names = ["127.0.0.1", "localhost"];
  await withFront(scene, { token: null, resources, names }, async ({ href: url }) => {
    const lines = NOT_SERVED.map((name) => `  - ${name}\n`).join("");
    await Deno.writeTextFile(`${suite.dir}/not-served.yaml`, `server:\n${lines}`);
    await Deno.writeTextFile(`${suite.dir}/package.json`, "{}");
    const program = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
    // Node 20 is too old for it.
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", program, "server", "--url", url],
        ...["--expected-failures", "not-served.yaml"],
      ],
      cwd: suite.dir,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, 0, said.slice(-6_000));
    assert.match(said, /dns-rebinding-protection/);
  });
});

Deno.test("the official inspector lists and calls tools of a real Bureau", async (t) => {
  const found = await packages("mcp");
  if ("reason" in found) return await skip(t, found.reason);
  await using inspector = found;
  // It looks for the package that it is a part of.
  const scope = `${inspector.dir}/node_modules/@modelcontextprotocol`;
  await Deno.writeTextFile(`${scope}/package.json`, '{"name":"inspector","version":"1.0.3"}');
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    const ask = async (...method: string[]) => {
      const directories = ["--state-dir", bureau.stateDir, "--run-dir", bureau.runDir];
      const { code, stdout, stderr } = await new Deno.Command("node", {
        args: [
          `${scope}/inspector-cli/build/index.js`,
          ...["sh", `${ROOT}/tasks/bureau`, "mcp", "serve", ...directories],
          ...["--method", ...method],
        ],
        stdin: "null",
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      return JSON.parse(new TextDecoder().decode(stdout));
    };
    const { tools, nextCursor } = await ask("tools/list");
    assert.equal(nextCursor, undefined, "all on one page");
    assert.ok(tools.some(({ name }: { name: string }) => name === "bureau_agent_list"));
    const { content } = await ask("tools/call", "--tool-name", "bureau_agent_list");
    assert.match(content[0].text, /agent\/scribe/);
    const { resources } = await ask("resources/list");
    assert.ok(resources.some(({ uri }: { uri: string }) => uri === "bureau://agents"));
  });
});
