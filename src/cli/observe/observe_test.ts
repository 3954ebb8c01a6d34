// SPDX-License-Identifier: Apache-2.0

/** The command on real terminals, a daemon's socket that leads to a real relay and a real tmux session. */
import assert from "node:assert/strict";
import { TmuxServer, until } from "../../observe/_session.ts";
import { FakeDaemon, Person, SCRIBE } from "./testing/rig.ts";
import { sinceOf } from "./observe.ts";

/** Rows of the agent's screen, without what is blank below. */
const rowsOf = (screen: string) => screen.split("\n").map((row) => row.trimEnd());

Deno.test("observe shows and drives the agent's terminal, which gets the size of who types, and leaves it running", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await using person = await Person.sit(90, 25);
  await person.start(daemon.command());
  await person.shows(/agent\/scribe · type to take the keyboard/);
  assert.equal(await tmux.size(), "100x30", "who only looks changes nothing");
  await person.enter("echo x-$((40+2))");
  await person.shows("x-42");
  await person.shows(/you have the keyboard/);
  // The last row is the command's own.
  await until("it has this terminal's size", async () => await tmux.size() === "90x24");
  await person.resize(70, 20);
  await until("it follows", async () => await tmux.size() === "70x19");
  // ctrl-c is the agent's, not ours.
  const runs = async () => await tmux.tmux("list-panes", "-F", "#{pane_current_command}");
  await person.enter("sleep 1000");
  await until("it runs", async () => await runs() === "sleep");
  await person.press("C-c");
  await until("it was interrupted", async () => await runs() !== "sleep");
  await person.press("C-]", "r");
  await person.shows(/type to take the keyboard/);
  await person.press("C-]", "?");
  await person.shows(/d leave, t take/);
  await person.press("C-]", "d");
  const { code, screen } = await person.left();
  assert.equal(code, 0);
  assert.match(screen, /left bureau\/fleet\/dev\/agent\/scribe: you left with ctrl-\] d/);
  assert.equal(await tmux.tmux("list-panes", "-F", "#{pane_dead}"), "0");
});

Deno.test("observe fits the agent's screen into a smaller and a larger terminal without changing it", async () => {
  const draw =
    "stty -echo; for y in $(seq 1 29); do printf '\\033[%d;1Hrow %d %090d|' $y $y 7; done; exec sleep 1000";
  await using tmux = await TmuxServer.start(["sh", "-c", draw]);
  await using daemon = await FakeDaemon.start(tmux);
  await using small = await Person.sit(40, 10);
  await using large = await Person.sit(130, 40);
  await small.start(daemon.command("--readonly"));
  await large.start(daemon.command("--readonly"));
  await large.shows(/^row 29 0+7\|/m);
  const theirs = rowsOf(await tmux.screen());
  const shown = rowsOf(await large.screen());
  for (const [y, row] of theirs.entries()) {
    if (row !== "") assert.equal(shown[y]!.slice(0, 100).trimEnd(), row);
  }
  assert.equal(shown[0]!.slice(100), "·".repeat(30));
  assert.equal(shown[35], "·".repeat(130));
  // The small one shows where the cursor is, and the rest on demand.
  await small.shows(/7\|/);
  for (let n = 0; n < 8; n++) await small.press("C-]", "Up", "C-]", "Left");
  await small.shows(/^row 1 0+$/m);
  assert.equal(await tmux.size(), "100x30");
  for (const person of [small, large]) {
    await person.press("C-]", "d");
    await person.left();
  }
});

Deno.test("wherever the connection breaks, the screen is right in the end and nothing is missing", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await using person = await Person.sit(90, 25);
  await person.start(daemon.command());
  await person.shows(/type to take/);
  await person.enter(
    "for i in $(seq 1 400); do echo line-$i-$((i*7919%1000)); sleep 0.01; done; echo over-$((1+1))",
  );
  for (let n = 0; n < 6; n++) {
    await until("it goes on", async () =>
      (await tmux.screen()).includes(`line-${40 * (n + 1)}-`) ||
      (await tmux.screen()).includes("over-2"));
    await daemon.watched();
    daemon.cut();
  }
  await person.shows("over-2");
  await until("it shows what is there", async () => {
    const [theirs, shown] = [rowsOf(await tmux.screen()), rowsOf(await person.screen())];
    return theirs.every((row, y) => shown[y] === row);
  });
  // Each went on where the one before was: no screen was sent anew.
  const again = daemon.queries.slice(1);
  assert.ok(again.length >= 1);
  assert.equal(new Set(again.map((query) => query.get("stream"))).size, 1);
  assert.ok(again.every((query) => Number(query.get("offset")) > 0));
  assert.doesNotMatch(await person.screen(), /GAP/);
  // It can be typed again.
  await person.insists("echo again-$((1+2))", "again-3");
  await daemon.watched();
  // A daemon that is away for longer is said.
  daemon.stopListening();
  await person.shows(/no connection: .*trying again/);
  daemon.listen();
  await person.shows(/type to take the keyboard/);
  await person.press("C-]", "d");
  assert.equal((await person.left()).code, 0);
});

Deno.test("another relay is told as a gap, and its screen is shown", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await using person = await Person.sit(110, 25);
  await person.start(daemon.command());
  await person.shows(/type to take/);
  await daemon.stopRelay();
  await person.shows(/no connection/);
  await tmux.tmux("send-keys", "-t", "=agent:", "echo meanwhile-$((1+1))", "Enter");
  await daemon.startRelay();
  await person.shows(/GAP: some output not shown/);
  await person.shows("meanwhile-2");
  await tmux.tmux("kill-server");
  const { screen } = await person.left();
  assert.match(screen, /agent\/scribe: the session ended/);
});

Deno.test("one has the keyboard, and the other can take it; both see who", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await using one = await Person.sit(100, 20);
  await using other = await Person.sit(100, 24);
  await one.start(daemon.command());
  await one.shows(/type to take/);
  await one.enter("echo one-$((1+1))");
  await one.shows(/you have the keyboard/);
  await other.start(daemon.command());
  await other.shows(/operator has the keyboard/);
  await other.enter("echo other-$((1+1))");
  await other.shows(/ctrl-\] t takes it/);
  await other.press("C-]", "t");
  await other.shows(/you have the keyboard/);
  await one.shows(/operator has the keyboard/);
  await until("the size is the other's", async () => await tmux.size() === "100x23");
  await other.enter("echo other-$((2+2))");
  await one.shows("other-4");
  assert.doesNotMatch(await tmux.screen(), /other-2/);
  for (const person of [one, other]) {
    await person.press("C-]", "d");
    await person.left();
  }
});

Deno.test("observe puts the terminal back when the session ends, or a signal comes", async () => {
  const ends: Record<string, (person: Person, tmux: TmuxServer) => unknown> = {
    session: (_person, tmux) => tmux.tmux("kill-server"),
    SIGTERM: async (person) => Deno.kill(await person.pid(), "SIGTERM"),
    SIGHUP: async (person) => Deno.kill(await person.pid(), "SIGHUP"),
  };
  for (const [name, end] of Object.entries(ends)) {
    const program = "printf '\\033[?1h\\033[?2004h\\033[?1002h\\033[?1006hready'; exec cat";
    const tmux = await TmuxServer.start(["sh", "-c", program]);
    try {
      await using daemon = await FakeDaemon.start(tmux);
      await using person = await Person.sit(90, 25);
      await person.start(daemon.command());
      await person.shows("ready");
      await end(person, tmux);
      const { code, screen } = await person.left();
      assert.equal(code, 0, name);
      assert.match(screen, /left bureau\/fleet\/dev\/agent\/scribe: /);
    } finally {
      await tmux[Symbol.asyncDispose]();
    }
  }
});

Deno.test("observe --readonly types nothing, and --dump prints the screen without a terminal", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using daemon = await FakeDaemon.start(tmux);
  {
    await using person = await Person.sit(90, 25);
    await person.start(daemon.command("--readonly"));
    await person.shows(/you watch/);
    await person.enter("forbidden");
    await person.shows(/nothing is typed/);
    await person.press("C-]", "t");
    await person.shows(/not type/);
    await person.press("C-]", "d");
    assert.equal((await person.left()).code, 0);
  }
  await tmux.tmux("send-keys", "-t", "=agent:", "allowed", "Enter");
  await until("the control arrives", async () => (await tmux.screen()).includes("allowed"));
  assert.doesNotMatch(await tmux.screen(), /forbidden/);
  await until(
    "the relay has seen it",
    async () => (await daemon.run("--dump")).text.includes("allowed\nallowed"),
  );
  assert.deepEqual(await daemon.run("--dump"), { code: 0, text: "allowed\nallowed\n", error: "" });
  const json = await daemon.run("--dump", "--json");
  assert.deepEqual(JSON.parse(json.text), { principal: SCRIBE, lines: ["allowed", "allowed"] });
  // As it was before anybody typed: so long ago is as far back as is known.
  assert.deepEqual((await daemon.run("--dump", "--since", "1h")).text.trim(), "");
  assert.equal((await daemon.run("--dump", "--since", "soon")).code, 2);
});

Deno.test("observe --since shows what was, and any key the present", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await tmux.tmux(
    "send-keys",
    "-t",
    "=agent:",
    "echo past-$((1+1)); sleep 1; clear; echo now-$((1+1))",
    "Enter",
  );
  await until("it is past", async () => (await daemon.run("--dump")).text.startsWith("now-2"));
  await using person = await Person.sit(100, 31);
  await person.start(daemon.command("--readonly", "--since", "10m"));
  await person.shows(/^now-2/m);
  await person.shows(/you watch/);
  await person.press("C-]", "d");
  await person.left();
});

Deno.test("observe --wait stays while the agent does not run", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using daemon = await FakeDaemon.start(tmux);
  daemon.phase = "stopped";
  assert.equal((await daemon.run("--dump")).code, 1);
  await using person = await Person.sit(90, 25);
  await person.start(daemon.command("--wait"));
  await person.shows(/waiting for scribe: it is stopped/);
  daemon.phase = "running";
  await person.shows(/type to take/);
  await daemon.watched();
  daemon.phase = "exited";
  daemon.cut();
  await person.shows(/no connection: it is exited/);
  daemon.phase = "running";
  await person.shows(/type to take/);
  await person.press("C-]", "d");
  assert.equal((await person.left()).code, 0);
});

Deno.test("sinceOf() reads times", () => {
  assert.deepEqual(["90", "90s", "10m", "2h", undefined].map(sinceOf), [
    90,
    90,
    600,
    7200,
    undefined,
  ]);
  for (const bad of ["0", "m", "1d", "-1", "1.5m"]) {
    assert.throws(() => sinceOf(bad), { code: "usage" });
  }
});
