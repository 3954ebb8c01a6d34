// SPDX-License-Identifier: Apache-2.0

/** Version 2 for real, on machines of either version: its core works without any controller. */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";

Deno.test("version 2: freeze, thaw and kill, as the kernel sees them", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root may mount a hierarchy");
  const dir = await Deno.makeTempDir({ prefix: "b-" });
  try {
    const { code, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
      args: [
        ...["--mount", "--propagation", "private", "/bin/sh", "-c"],
        // 77: this machine has none to mount, or we may not.
        'mount -t cgroup2 none "$1" || exit 77; shift; exec "$@"',
        ...["sh", dir, Deno.execPath(), "run", "--quiet", "--allow-all"],
        ...[new URL("testing/cgroup_v2.ts", import.meta.url).pathname, dir],
      ],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    if (code === 77 || said.includes("unshare failed")) return await skip(t, said.trim());
    assert.equal(code, 0, said);
    const seen = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(seen.before.frozen, false);
    assert.equal(seen.frozen.frozen, true);
    assert.equal(typeof seen.frozen.cpu_ms, "number");
    // Stopped in its tracks: it takes no processor time at all.
    assert.equal(seen.later.cpu_ms, seen.frozen.cpu_ms);
    assert.equal(seen.thawed.frozen, false);
    assert.equal(seen.signal, "SIGKILL");
    assert.equal(seen.left, 0);
  } finally {
    await Deno.remove(dir);
  }
});
