// SPDX-License-Identifier: Apache-2.0

/** The relay process as the launcher starts it: its cell, its permission set, the launcher's tmux configuration. */
import assert from "node:assert/strict";
import { TestWatcher, until } from "./_session.ts";
import { PaneServer, RelayCell } from "./testing/cell.ts";

const READWRITE = { mode: "readwrite", cols: "90", rows: "20" };
const READONLY = { mode: "readonly", cols: "60", rows: "10" };

Deno.test("the relay process serves watchers from its cell", async () => {
  await using server = await PaneServer.start(["/bin/sh"]);
  await using relay = await RelayCell.start(server.dir);
  assert.deepEqual(relay.announcement, { ready: true });
  assert.equal((await Deno.stat(relay.socket)).mode! & 0o777, 0o660);
  {
    await using typist = await TestWatcher.attach(relay.socket, READWRITE);
    typist.type("echo hel''lo\r");
    await until("the echo", () => typist.output.includes("hello"));
    await using late = await TestWatcher.attach(relay.socket, READONLY);
    await until("the screen", () => late.output.includes("hello"));
    late.type("echo for''bidden\r");
    typist.type("echo af''ter\r");
    await until("what is typed later", () => late.output.includes("after"));
    assert.ok(!(await server.tmux("capture-pane", "-p", "-t", "=agent:"))!.includes("forbidden"));
    typist.send({ type: "resize", cols: 70, rows: 15 });
    await until("the new size", async () => {
      typist.type("stty size\r");
      return (await server.tmux("capture-pane", "-p", "-t", "=agent:"))!.includes("15 70");
    });
  }
  await server.tmux("kill-server");
  assert.equal((await relay.status).code, 0, "it ends with the session");
});

Deno.test("the relay process types nothing when it is killed", async () => {
  await using server = await PaneServer.start(["/bin/cat"]);
  for (let round = 0; round < 5; round++) {
    await using relay = await RelayCell.start(server.dir);
    await using typist = await TestWatcher.attach(relay.socket, READWRITE);
    typist.type(`round ${round}\r`);
    await until("the echo", () => typist.output.includes(`round ${round}`));
    Deno.kill(relay.pid, "SIGKILL");
    await relay.status;
    await until("no client is left", async () => (await server.tmux("list-clients")) === "");
    // `cat` ends at the first ^D.
    assert.equal(await server.tmux("display-message", "-p", "-t", "=agent:", "#{pane_dead}"), "0");
  }
});

Deno.test("a watcher who is alone and only watches does not resize the session", async () => {
  await using server = await PaneServer.start(["/bin/cat"]);
  await using relay = await RelayCell.start(server.dir);
  await using watcher = await TestWatcher.attach(relay.socket, READONLY);
  await until("it is attached", async () => (await server.tmux("list-clients")) !== "");
  await until("tmux has drawn", () => watcher.offset > 0);
  const size = ["display-message", "-p", "-t", "=agent:", "#{window_width}x#{window_height}"];
  assert.equal(await server.tmux(...size), "120x40");
});

Deno.test("the relay process says that it is over when the program in the pane ends", async () => {
  // As a principal's pane does: tmux 3.3a sometimes sleeps through the end of its program.
  const tells = 'sh; exec tmux -N -S "${TMUX%%,*}" wait-for -S bureau-died';
  await using server = await PaneServer.start(["/bin/sh", "-c", tells]);
  await using relay = await RelayCell.start(server.dir);
  await using watcher = await TestWatcher.attach(relay.socket, READWRITE);
  watcher.type("echo last''words; exit 3\r");
  await until("the exit frame", () => watcher.frames.some(({ type }) => type === "exit"));
  assert.ok(watcher.output.includes("lastwords"));
  assert.equal((await relay.status).code, 0);
});
