// SPDX-License-Identifier: Apache-2.0

/** `bureau environment`, and the package of the flake, with a real Nix, in mount namespaces whose /nix is empty and of memory. */
import assert from "node:assert/strict";
import { lacks, skip } from "../../src/lib/testing/skip.ts";
import { type Finished, ROOT } from "../e2e/harness.ts";

/** Its builders run as whoever asks, in no sandbox of Nix's, and everything is built here. */
const NIX_CONFIG = "build-users-group =\nsandbox = false\nsubstituters =\n";
const FILES = `${ROOT}/tests/slow/environment`;

/** Where /nix can be mounted on, in a mount namespace of its own. @returns what was written */
async function inNamespace(program: string, ...args: string[]): Promise<Finished> {
  const made = await Deno.mkdir("/nix").then(() => true, () => false);
  try {
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--mount", "--", program, ...args],
      env: { NIX_CONFIG, BUREAU_DENO: Deno.execPath() },
      cwd: ROOT,
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  } finally {
    if (made) await Deno.remove("/nix");
  }
}

async function inTemporary(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-nix" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("an agent's programs come from an environment that Nix built, are updated and rolled back", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root mounts a /nix");
  if (await lacks(t, "/usr/bin/nix", "nix-bin")) return;
  if (await lacks(t, "/usr/bin/patchelf", "patchelf")) return;
  await inTemporary(async (dir) => {
    await Deno.copyFile(`${FILES}/flake.nix`, `${dir}/flake.nix`);
    await Deno.writeTextFile(`${dir}/system.nix`, `"${Deno.build.arch}-linux"\n`);
    await Deno.writeTextFile(`${dir}/version`, "1.0");
    const mount = 'mount -t tmpfs -o mode=755 tmpfs /nix && exec "$@"';
    const inside = [Deno.execPath(), "run", "--quiet", "--allow-all", `${FILES}/inside.ts`, dir];
    const { code, stdout, stderr } = await inNamespace("sh", "-c", mount, "sh", ...inside);
    assert.equal(code, 0, stdout + stderr);
  });
});

Deno.test("where /usr is links into a store, sandboxes find the store by the link of that /usr", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root mounts a /usr");
  await inTemporary(async (dir) => {
    const sandbox = ["sh", "tasks/bureau", "sandbox", "run"];
    const dirs = ["--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`];
    const made = (link: string) =>
      inNamespace(`${FILES}/nix_usr.sh`, link, ...sandbox, ...dirs, "--", "readlink", "/usr/bin");
    const { code, stdout, stderr } = await made("store");
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^\/nix\/store\/.*\/bin$/m);
    assert.notEqual((await made("none")).code, 0, "control: no sandbox without it");
  });
});

Deno.test("Nix builds the package of the flake without a network, and its bureau makes sandboxes", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root mounts a /nix");
  if (await lacks(t, "/usr/bin/nix-build", "nix-bin")) return;
  const cache = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;
  const system = `${Deno.build.arch}-linux`;
  const script = `${FILES}/package.sh`;
  try {
    const done = await inNamespace(script, ROOT, Deno.execPath(), cache, system);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.match(done.stdout, /^units: .*bureau-daemon\.service .*bureau-launcher\.service/m);
    assert.doesNotMatch(done.stdout, /\/usr\/(lib\/bureau|bin\/bureau)/);
    assert.match(done.stdout, /^bureau \d+\.\d+\.\d+ \(deno 2\.9/m);
    for (const user of [0, 12345]) {
      assert.match(done.stdout, new RegExp(`^made for ${user}: /nix/store/.*/bin$`, "m"));
    }
  } finally {
    for (const user of [0, 12345]) {
      await Deno.remove(`/tmp/b-nix-${user}`, { recursive: true }).catch(() => {});
    }
  }
});
