// SPDX-License-Identifier: Apache-2.0

/**
 * Builds `dist/runtime`: one bundled file per process, the permission sets cut out of `deno.json`, the
 * grants, and `dist/agents`. Everything a running Bureau reads of this checkout is in `dist`, or in the
 * directory that the first argument names where the checkout is somebody else's.
 */
import { ROLES } from "../src/lib/process/mod.ts";

const root = import.meta.dirname!.replace(/\/tasks$/, "");
const dist = Deno.args[0] ?? `${root}/dist`;
const parent = dist.slice(0, dist.lastIndexOf("/"));
const work = await Deno.makeTempDir({ dir: parent, prefix: ".dist-" });

async function bundle(role: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--frozen",
      "--output",
      `${work}/runtime/${role}.js`,
      `src/cmd/${role}.ts`,
    ],
    cwd: root,
    env: { RUST_BACKTRACE: "0" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    console.error(`error: Cannot bundle "${role}":\n${new TextDecoder().decode(stderr)}`);
    Deno.exit(1);
  }
}

try {
  await Deno.mkdir(`${work}/runtime`);
  // The first one alone: it fetches the bundler where the cache has none yet, which two at once can't.
  const [first, ...rest] = ROLES;
  await bundle(first);
  await Promise.all(rest.map(bundle));
  const { permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  await Deno.writeTextFile(`${work}/runtime/deno.json`, JSON.stringify({ permissions }, null, 2));
  await Deno.copyFile(`${root}/tasks/grants.txt`, `${work}/runtime/grants.txt`);
  await Deno.mkdir(`${work}/agents/scribe`, { recursive: true });
  await Deno.copyFile(`${root}/agent/scribe/scribe`, `${work}/agents/scribe/scribe`);
  await Deno.chmod(`${work}/agents/scribe/scribe`, 0o755);
  await Deno.writeTextFile(`${work}/runtime/.stamp`, "");
  // One rename makes the new build current; two builds at once both leave a whole one.
  const old = await Deno.makeTempDir({ dir: parent, prefix: ".dist-old-" });
  await Deno.rename(dist, `${old}/dist`).catch(() => {});
  await Deno.rename(work, dist);
  await Deno.chmod(dist, 0o755);
  await Deno.remove(old, { recursive: true });
} finally {
  await Deno.remove(work, { recursive: true }).catch(() => {});
}
