// SPDX-License-Identifier: Apache-2.0

/**
 * Builds `dist/runtime`: one bundled file per process, the permission sets cut out of `deno.json`, the
 * grants; `dist/cli`, the command line that a person starts; and `dist/agents`. Everything a running Bureau reads of this checkout is in `dist`, or in the
 * directory that the first argument names where the checkout is somebody else's.
 */
import { ROLES } from "../src/lib/process/mod.ts";
import { buildPage, embedPage } from "./bundle_page.ts";
import { bundleCli, bundleFile, bundleRole } from "./bundle_role.ts";

const root = import.meta.dirname!.replace(/\/tasks$/, "");
const dist = Deno.args[0] ?? `${root}/dist`;
const parent = dist.slice(0, dist.lastIndexOf("/"));
const work = await Deno.makeTempDir({ dir: parent, prefix: ".dist-" });

const bundle = (role: string) => bundleRole(role, `${work}/runtime/${role}.js`);

/** One rename makes the new build current; of two builds at once either is whole, and one of them stays. */
async function replace(): Promise<void> {
  const old = await Deno.makeTempDir({ dir: parent, prefix: ".dist-old-" });
  for (let attempt = 0;; attempt++) {
    await Deno.rename(dist, `${old}/${attempt}`).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
    try {
      await Deno.rename(work, dist);
      break;
    } catch (thrown) {
      // Another build came in between.
      if (attempt === 9 || !/os error (39|17)\b/.test(String(thrown))) throw thrown;
    }
  }
  await Deno.remove(old, { recursive: true });
}

try {
  await Deno.mkdir(`${work}/runtime`);
  // The first one alone: it fetches the bundler where the cache has none yet, which two at once can't.
  const [first, ...rest] = ROLES;
  await bundle(first);
  // The thread of the daemon for egress is a module of its own.
  await Deno.mkdir(`${work}/agents/echo`, { recursive: true });
  await Deno.mkdir(`${work}/agents/native`);
  await Deno.mkdir(`${work}/agents/agent-service`);
  await Deno.mkdir(`${work}/agents/driver`);
  await Deno.mkdir(`${work}/agents/mcp`);
  await Deno.mkdir(`${work}/page`);
  const [page] = await Promise.all([
    buildPage(`${work}/page`),
    ...[...rest, "gate_worker"].map(bundle),
    bundleCli(`${work}/cli`),
    bundleFile("src/mcp/sdk.ts", `${work}/runtime/mcp_sdk.js`, ["--minify"]),
    bundleFile("agent/echo/echo.ts", `${work}/agents/echo/echo.js`),
    bundleFile("src/services/agent/main.ts", `${work}/agents/agent-service/agent_service.js`, [
      "--minify",
    ]),
    bundleFile("agent/native/native.ts", `${work}/agents/native/native.js`, ["--minify"]),
    bundleFile("agent/native/mcp.ts", `${work}/agents/native/mcp.js`, ["--minify"]),
    bundleFile("agent/mcp/serve.ts", `${work}/agents/mcp/serve.js`, ["--minify"]),
    bundleFile("agent/native/spawn.ts", `${work}/agents/native/spawn.js`, ["--minify"]),
    bundleFile("agent/driver/driver.ts", `${work}/agents/driver/driver.js`),
    bundleFile("agent/driver/prepare_main.ts", `${work}/agents/driver/prepare.js`),
  ]);
  await Deno.link(`${work}/runtime/mcp_sdk.js`, `${work}/cli/mcp_sdk.js`);
  await embedPage(`${work}/runtime/web.js`, page);
  await Deno.remove(`${work}/page`, { recursive: true });
  const { permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  await Deno.writeTextFile(`${work}/runtime/deno.json`, JSON.stringify({ permissions }, null, 2));
  await Deno.copyFile(`${root}/tasks/grants.txt`, `${work}/runtime/grants.txt`);
  // Cells see one directory: what runs, and what runs it.
  const deno = await Deno.realPath(Deno.execPath());
  await Deno.link(deno, `${work}/runtime/deno`).catch(async () => {
    // Another file system, or another's file.
    await Deno.copyFile(deno, `${work}/runtime/deno`);
    await Deno.chmod(`${work}/runtime/deno`, 0o755);
  });
  await Deno.mkdir(`${work}/agents/scribe`, { recursive: true });
  await Deno.copyFile(`${root}/agent/scribe/scribe`, `${work}/agents/scribe/scribe`);
  await Deno.chmod(`${work}/agents/scribe/scribe`, 0o755);
  for (const script of ["driver/codex", "driver/terminal", "mcp/serve"]) {
    await Deno.copyFile(`${root}/agent/${script}`, `${work}/agents/${script}`);
    await Deno.chmod(`${work}/agents/${script}`, 0o755);
  }
  await Deno.writeTextFile(`${work}/runtime/.stamp`, "");
  await Deno.chmod(work, 0o755);
  await replace();
} catch (thrown) {
  console.error(`error: ${thrown instanceof Error ? thrown.message : thrown}`);
  Deno.exitCode = 1;
} finally {
  await Deno.remove(work, { recursive: true }).catch(() => {});
}
