// SPDX-License-Identifier: Apache-2.0

/** A runtime directory for tests, built once a test process and removed with it. */

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");

/** Serves its socket until its stdin ends, and nothing else, when the real relay is not what a test is about. */
const STAND_IN_RELAY = `
await Deno.remove("/run/bureau/observe/relay.sock").catch(() => {});
Deno.serve({ path: "/run/bureau/observe/relay.sock", onListen: () => console.log('{"ready":true}') },
  () => new Response("relay"));
// Until the launcher says that it is over. Other secrets are answered.
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of text.split("\\n")) if (line.startsWith('{"secrets"')) console.log('{"renewed":true}');
}
Deno.exit(0);
`;

let built: Promise<string> | null = null;

/** @returns a directory with `deno`, `deno.json`, `launcher.js`, `proxy.js`, `bridge.js`, `gate.js`, `relay.js` */
export function buildRuntime(): Promise<string> {
  return built ??= build();
}

async function build(): Promise<string> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-rt" });
  globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
  await Deno.chmod(dir, 0o755);
  await Promise.all(["launcher", "proxy", "bridge", "gate"].map((role) => bundle(role, dir)));
  await Deno.writeTextFile(`${dir}/relay.js`, STAND_IN_RELAY, { mode: 0o644 });
  const { permissions } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  await Deno.writeTextFile(`${dir}/deno.json`, JSON.stringify({ permissions }), { mode: 0o644 });
  const deno = await Deno.realPath(Deno.execPath());
  try {
    await Deno.link(deno, `${dir}/deno`);
  } catch {
    // Another file system, or another's file.
    await Deno.copyFile(deno, `${dir}/deno`);
  }
  return dir;
}

/** One process's file in that directory. */
export async function bundle(role: string, dir: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", `${dir}/${role}.js`, `src/cmd/${role}.ts`],
    cwd: ROOT,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  await Deno.chmod(`${dir}/${role}.js`, 0o644);
}
