// SPDX-License-Identifier: Apache-2.0

/** A stand-in for the client program: what matters here is when and how it ends. */
import assert from "node:assert/strict";
import { Tmux } from "./mod.ts";

const client = (script: string, deadlineMs: number) =>
  new Tmux(() => ["/bin/sh", "-c", script], deadlineMs);

Deno.test("a server that is gone and one that does not answer are told apart", async () => {
  assert.equal(await client("exit 1", 60_000).pane(), null);
  assert.deepEqual(await client("echo '17 0  '", 60_000).pane(), {
    pid: 17,
    dead: false,
    status: null,
    signal: null,
  });
  await assert.rejects(client("exec sleep 1000", 50).pane(), { code: "late" });
  await assert.rejects(client("exec sleep 1000", 50).capture(10), { code: "late" });
});

Deno.test("a server counts as ended only when it is known to be gone", async () => {
  await client("exit 1", 60_000).kill();
  await assert.rejects(client("exec sleep 1000", 50).kill(), { code: "still-running" });
  await assert.rejects(client("echo '17 0  '", 60_000).kill(), { code: "still-running" });
});

Deno.test("a session whose name only begins with ours is not taken for it (W-19)", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-tm" });
  const socket = `${dir}/tmux.sock`;
  const words = (...args: string[]) => ["/usr/bin/tmux", "-f", "/dev/null", "-S", socket, ...args];
  const tmux = async (...args: string[]) => {
    const [program, ...rest] = words(...args);
    return (await new Deno.Command(program!, { args: rest, stdin: "null" }).output()).success;
  };
  const ours = new Tmux((args) => ["/usr/bin/tmux", "-N", "-S", socket, ...args]);
  try {
    assert.ok(await tmux("new-session", "-d", "-s", "agent2", "sleep 1000"));
    // Control: without the mark tmux takes the longer name.
    assert.ok(await tmux("list-panes", "-t", "agent:"));
    assert.equal(await ours.pane(), null);
    assert.deepEqual(await ours.capture(10), [""]);
    assert.ok(await tmux("new-session", "-d", "-s", "agent", "sleep 1000"));
    assert.equal((await ours.pane())?.dead, false);
  } finally {
    await tmux("kill-server");
    await Deno.remove(dir, { recursive: true });
  }
});
