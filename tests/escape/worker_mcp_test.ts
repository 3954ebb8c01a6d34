// SPDX-License-Identifier: Apache-2.0

/** `bureau worker run --mcp`: the official SDK's servers, each in a sandbox of its own, and a worker that has their tools by mail. */
import assert from "node:assert/strict";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { bundleFile } from "../../tasks/bundle_role.ts";
import { createServer } from "../../src/agent/testing/mcp/server.ts";
import { type Ask, call, say, startModels } from "../../src/agent/testing/model/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { forward, Place, processes } from "./worker_place.ts";

const KEY = "placeholder-0123456789";

/** A place with an MCP server in a file, and a model that makes the calls it is told to. */
class Scene implements AsyncDisposable {
  readonly asks: Ask[] = [];
  calls: readonly { readonly name: string; readonly input: Record<string, string> }[] = [];
  readonly #models;
  readonly #listener;
  /** Only processes of this scene have it among their arguments. */
  readonly mark = `mark-${crypto.randomUUID()}`;

  private constructor(readonly place: Place) {
    this.#models = startModels({
      keys: { anthropic: KEY, openai: KEY },
      script: (ask) => {
        this.asks.push(ask);
        const next = this.calls[ask.toolResults.length];
        return next === undefined ? say(ask.toolResults.join("; ")) : call(next.name, next.input);
      },
    });
    this.#listener = forward(this.#models.port);
  }

  static async make(): Promise<Scene> {
    const scene = new Scene(await Place.make());
    await Deno.mkdir(`${scene.place.dir}/srv`);
    await bundleFile("src/agent/testing/mcp/server.ts", `${scene.place.dir}/srv/server.js`);
    return scene;
  }

  get stdio(): Record<string, unknown> {
    return {
      command: "/opt/bureau/deno",
      args: ["run", "--allow-env", "--no-lock", "--cached-only", "/srv/server.js", this.mark],
      sandbox: { ro: [`${this.place.dir}/srv:/srv`] },
    };
  }

  async words(
    mcpServers: Record<string, unknown>,
    capabilities: Record<string, unknown> = {},
  ): Promise<string[]> {
    const { dir } = this.place;
    const { port } = this.#listener.addr as Deno.NetAddr;
    await Deno.writeTextFile(`${dir}/mcp.json`, JSON.stringify({ mcpServers }));
    await Deno.writeTextFile(
      `${dir}/spec.json`,
      JSON.stringify({
        model: { provider: "mock", model: "claude-sonnet-4-5" },
        secrets: {
          provider_credentials: [{
            provider: "mock",
            api_key: KEY,
            base_url: `http://127.0.0.2:${port}`,
            provider_type: "anthropic",
          }],
        },
        capabilities,
      }),
    );
    return [
      ...["run", "--spec", "spec.json", "--executor", "bamboo_runtime", "--mcp", "mcp.json"],
      ...["--allow-host", `127.0.0.2:${port}`, "--disable-tool", "mcp__files__fail"],
      ...["--assignment", "use them"],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#models.stop();
    await this.place[Symbol.asyncDispose]();
  }
}

/** The SDK's server at an address. */
function serveHttp(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.2", port: 0, onListen() {} }, async (request) => {
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    const server = createServer();
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return await transport.handleRequest(request);
  });
}

Deno.test("worker run --mcp: tools of servers in sandboxes of their own, by mail, under the worker's own rules", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using scene = await Scene.make();
  const { place } = scene;
  await using http = serveHttp();
  const servers = {
    files: scene.stdio,
    web: { url: `http://127.0.0.2:${http.addr.port}/mcp` },
  };

  await t.step("each is called once, and answers", async () => {
    scene.calls = [
      { name: "mcp__files__echo", input: { text: "a" } },
      { name: "mcp__web__echo", input: { text: "b" } },
      // What the server has, the worker has not; its sandbox is another.
      { name: "bash", input: { command: `cat /srv/server.js || ls ${place.dir}` } },
    ];
    const done = await place.run(await scene.words(servers));
    assert.equal(done.code, 0, done.err);
    assert.match(done.out, /^echo: a; echo: b; [^]*No such file or directory/);
    assert.doesNotMatch(done.out, /server\.js\b(?!:)/, "nor does it see the directory");
    const { tools } = scene.asks.at(-1)!;
    assert.ok(tools.includes("mcp__web__fail"), `${tools}`);
    assert.ok(!tools.includes("mcp__files__fail"), "it was disabled");
  });

  await t.step("where leave is needed and nobody gives it, nothing is called", async () => {
    scene.calls = [{ name: "mcp__files__echo", input: { text: "a" } }];
    const denied = await place.run(await scene.words(servers, { enforce_permissions: true }));
    assert.equal(denied.code, 0, denied.err);
    assert.match(denied.out, /denied by the host/);
    assert.match(denied.err, /^denied: the worker: mcp__files__echo: \{"text":"a"\}/);
  });

  await t.step("a server that can't be had ends it before it begins", async () => {
    const gone = await place.run(await scene.words({ gone: { command: "/bin/false" } }));
    assert.equal(gone.code, 1);
    assert.match(gone.err, /^error: Cannot use the MCP server "gone": its sandbox ended/);
    const echo = await place.run(["run", "--mcp", "mcp.json", "--assignment", "x"]);
    assert.match(echo.err, /--mcp with the executor "echo"/);
  });

  assert.deepEqual(await processes(scene.mark), [], "servers end with the run");
});

Deno.test("worker run --mcp: whoever kills the parent ends the servers, too", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using scene = await Scene.make();
  scene.calls = [{ name: "mcp__files__wait", input: {} }];
  const child = scene.place.spawn(...await scene.words({ files: scene.stdio }));
  try {
    await child.stdin.close();
    await eventually("the tool is called", () => Promise.resolve(scene.asks.length > 0), 120_000);
    assert.notDeepEqual(await processes(scene.mark), [], "its server runs");
  } finally {
    // Its shell became the parent.
    child.kill("SIGKILL");
    await child.output();
  }
  await eventually("nothing of it is left", async () => {
    const left = await processes(scene.mark);
    if (left.length > 0) throw new Error(`${left}`);
    return true;
  });
});
