// SPDX-License-Identifier: Apache-2.0

/** `bureau environment` with a real Nix, in a mount namespace whose /nix is empty and of memory. */
import assert from "node:assert/strict";
import { lacks, skip } from "../../src/lib/testing/skip.ts";
import { ROOT } from "../e2e/harness.ts";

/** In memory, for Nix's store wants no more; its builders run as whoever asks, in no sandbox of Nix's. */
const ENTER = 'mount -t tmpfs -o mode=755 tmpfs /nix && exec "$@"';
const NIX_CONFIG = "build-users-group =\nsandbox = false\nsubstituters =\n";

Deno.test("an agent's programs come from an environment that Nix built, are updated and rolled back", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root mounts a /nix");
  if (await lacks(t, "/usr/bin/nix", "nix-bin")) return;
  if (await lacks(t, "/usr/bin/patchelf", "patchelf")) return;
  const dir = await Deno.makeTempDir({ prefix: "b-nix" });
  const made = await Deno.mkdir("/nix").then(() => true, () => false);
  try {
    await Deno.copyFile(`${ROOT}/tests/slow/environment/flake.nix`, `${dir}/flake.nix`);
    await Deno.writeTextFile(`${dir}/system.nix`, `"${Deno.build.arch}-linux"\n`);
    await Deno.writeTextFile(`${dir}/version`, "1.0");
    const inside = `${ROOT}/tests/slow/environment/inside.ts`;
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: [
        ...["--mount", "--", "sh", "-c", ENTER, "sh"],
        ...[Deno.execPath(), "run", "--quiet", "--allow-all", inside, dir],
      ],
      env: { NIX_CONFIG },
      cwd: ROOT,
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stdout) + text.decode(stderr));
  } finally {
    if (made) await Deno.remove("/nix");
    await Deno.remove(dir, { recursive: true });
  }
});
