// SPDX-License-Identifier: Apache-2.0

/** Memory of Bureau's own agent that has nothing to do, after a turn with a tool. */
import { bundleFile } from "../../tasks/bundle_role.ts";
import { call, say, startModels, turns } from "../../src/agent/testing/model/mod.ts";
import { memoryOf, report } from "./report.ts";

const KEY = "placeholder-0123456789";
/** What a collector does when it is left alone, it does by then. */
const SETTLE_MS = 10_000;

/** What its proxy says that it may. */
const POLICY = { grants: [{ actions: ["matrix/**", "http/model"] }], denials: [] };
const SERVICES = { services: [{ name: "model", kind: "http", path: "/http/model/", host: null }] };

const dir = await Deno.makeTempDir({ prefix: "b-native-" });
const proxy = Deno.serve(
  { path: `${dir}/proxy.sock`, onListen() {} },
  ({ url }) => Response.json(new URL(url).pathname === "/v1/grants" ? POLICY : SERVICES),
);
try {
  await bundleFile("tests/bench/native_idle.ts", `${dir}/native.js`, ["--minify"]);
  const script = turns(call("bash", { command: "seq 1000" }), say("done"));
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--allow-all", "--no-config", `${dir}/native.js`],
      ...[`http://127.0.0.1:${models.port}`, KEY, dir],
    ],
    stdout: "piped",
  }).spawn();
  try {
    await child.stdout.getReader().read();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const { privateMb, pssMb } = await memoryOf(child.pid);
    report({
      id: "native.memory",
      value: privateMb,
      unit: "MB",
      note: `PSS ${pssMb.toFixed(1)} MB`,
    });
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await models.stop();
  }
} finally {
  await proxy.shutdown();
  await Deno.remove(dir, { recursive: true });
}
