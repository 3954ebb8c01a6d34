// SPDX-License-Identifier: Apache-2.0

/** Bureau's own agent outside of a sandbox, for its memory: does one turn, says `idle`, and waits. Arguments: URL, key, directory. */
import { Recorder } from "../../src/agent/recorder/mod.ts";
import { createModelClient } from "../../src/agent/model/mod.ts";
import { systemPrompt } from "../../src/agent/native/prompt.ts";
import { builtinTools, ToolBox } from "../../src/agent/tools/mod.ts";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { bureauTools } from "../../agent/native/bureau.ts";
import { NativeEngine } from "../../agent/native/engine.ts";
import { Pump } from "../../agent/room/pump.ts";

const [baseUrl, key, dir] = Deno.args as [string, string, string];
// As in the sandbox, where the model is reached by it, too.
const proxy = createProxyClient({ socket: `${dir}/proxy.sock` });
const engine = await NativeEngine.open({
  agent: {
    client: createModelClient({ protocol: "anthropic", baseUrl, key }),
    model: "claude-sonnet-4-5",
    system: systemPrompt({ workspace: dir }),
    tools: new ToolBox({
      tools: builtinTools,
      passing: await bureauTools(proxy, new AbortController().signal),
      workspace: dir,
    }),
  },
  sessionFile: `${dir}/session.jsonl`,
  recorder: new Recorder({ program: "native" }),
  emit: (event) => {
    if (event.type === "end") console.log("idle");
  },
});
const pump = new Pump({ engine, steering: "asker", answer: () => Promise.resolve() });
pump.type("hello");
setInterval(() => {}, 1e6);
await pump.work(new AbortController().signal);
