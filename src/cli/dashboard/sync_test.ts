// SPDX-License-Identifier: Apache-2.0

/** The dashboard's two-way synchronisation with a real tmux; the room is a variable. */
import assert from "node:assert/strict";
import {
  equalLayouts,
  expandLayout,
  type Layout,
  leaves,
  type Member,
  type Shown,
  treeOf,
} from "../../lib/layout/mod.ts";
import { TmuxServer, until as untilSoon } from "../../observe/_session.ts";
import { TmuxControl } from "./control.ts";
import { EMPTY, encodeShown, readTmux } from "./scene.ts";
import { LayoutSync } from "./sync.ts";

const until = (what: string, check: () => unknown) => untilSoon(what, check, 60_000);
const CONFIGURATION = [
  "set -g default-size 180x60",
  "setw -g automatic-rename off",
  "setw -g allow-rename off",
  "",
];

class Dashboard implements AsyncDisposable {
  layout: Layout;
  members: Member[] = [];
  readonly published: Layout[] = [];
  problem: string | null = null;
  readonly sync: LayoutSync;
  readonly control: TmuxControl;
  readonly #stop = new AbortController();

  private constructor(
    readonly server: TmuxServer,
    readonly client: Deno.ChildProcess,
    layout: Layout,
  ) {
    this.layout = layout;
    this.control = new TmuxControl(
      client.stdout,
      client.stdin,
      (name) => this.sync?.event(name),
    );
    this.sync = new LayoutSync({
      tmux: this.control,
      command: ({ observe }: Shown) => ["/bin/sh", "-c", "exec sleep 1000", observe ?? "other"],
      read: () => Promise.resolve({ layout: this.layout, members: this.members, problem: null }),
      publish: (layout) => {
        this.layout = layout;
        this.published.push(layout);
        return Promise.resolve();
      },
      tell: (problem) => this.problem = problem,
      signal: this.#stop.signal,
    });
  }

  static async open(layout: Layout): Promise<Dashboard> {
    const server = await TmuxServer.start(["sleep", "1000"], CONFIGURATION);
    await server.tmux("rename-session", "-t", "=agent", "bureau");
    await server.tmux("set-option", "-p", "-t", "=bureau:", "@bureau_pane", encodeShown(EMPTY));
    const client = new Deno.Command("/usr/bin/tmux", {
      args: [
        ...["-u", "-S", server.socket, "-C", "attach-session", "-f", "ignore-size,no-output"],
        ...["-t", "=bureau"],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const dashboard = new Dashboard(server, client, layout);
    await dashboard.sync.refresh();
    assert.equal(dashboard.problem, null);
    return dashboard;
  }

  tmux(...args: string[]): Promise<string> {
    return this.server.tmux(...args);
  }

  /** What is shown: windows with their panes, from the left and the top. */
  async shown(): Promise<string[]> {
    return (await readTmux(this.control)).map(({ name, tree }) =>
      `${name}: ${leaves(tree).map(({ shown }) => shown?.observe ?? shown?.role ?? "?").join(" ")}`
    );
  }

  async shows(...wanted: string[]): Promise<void> {
    await until(`it shows ${wanted}`, async () => {
      const shown = await this.shown();
      return JSON.stringify(shown) === JSON.stringify(wanted);
    }).catch(async (thrown) => {
      throw new Error(`${thrown}; it shows ${await this.shown()}; ${this.problem}`);
    });
  }

  async pids(): Promise<Record<string, string>> {
    const lines = await this.tmux("list-panes", "-s", "-F", "#{@bureau_pane} #{pane_pid}");
    return Object.fromEntries(lines.split("\n").map((line) => line.split(" ")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.server[Symbol.asyncDispose]();
    await this.control.ended;
    await this.client.status;
  }
}

const member = (name: string, team = "core"): Member => ({
  account: `agent/${name}`,
  machine: "m",
  labels: { team },
});
const panes = (...names: string[]) =>
  names.map((name, at) => ({
    observe: `agent/${name}`,
    ...(at === 0 ? {} : { split: "horizontal" as const }),
  }));

Deno.test("what is in the room is shown, and what changes there moves without being started anew", async () => {
  const layout: Layout = {
    windows: [
      { name: "one", panes: panes("a", "b", "c") },
      { name: "two", panes: [{ observe: "agent/d" }, { role: 'it\'s #{notes} "here"; $HOME' }] },
    ],
  };
  await using dashboard = await Dashboard.open(layout);
  await dashboard.shows(
    "one: agent/a agent/b agent/c",
    'two: agent/d it\'s #{notes} "here"; $HOME',
  );
  const before = await dashboard.pids();
  dashboard.layout = {
    windows: [
      { name: "two", panes: panes("c", "d", "e") },
      {
        name: "three",
        panes: [
          { observe: "agent/b" },
          { observe: "agent/a", split: "vertical", size: 30 },
          { observe: "agent/f", split: "horizontal", of: 0 },
        ],
      },
    ],
  };
  await dashboard.sync.refresh();
  assert.equal(dashboard.problem, null);
  await dashboard.shows("two: agent/c agent/d agent/e", "three: agent/b agent/f agent/a");
  const after = await dashboard.pids();
  for (const name of ["a", "b", "c", "d"]) {
    const key = encodeShown({ observe: `agent/${name}` });
    assert.equal(after[key], before[key], `${name} goes on`);
  }
  // Nobody but the room changed anything.
  await dashboard.sync.refresh();
  assert.deepEqual(dashboard.published, []);
});

Deno.test("what a person changes in tmux is written into the room, once", async () => {
  const layout: Layout = {
    prefix: "C-q",
    windows: [
      { name: "one", panes: panes("a", "b") },
      { name: "team", panes: [{ observe_members: { labels: { team: "core" } } }] },
      { name: "nobody", panes: [{ observe_members: { labels: { team: "none" } } }] },
    ],
  };
  await using dashboard = await Dashboard.open(layout);
  dashboard.members = [member("x"), member("y"), member("z", "web")];
  await dashboard.sync.refresh();
  await dashboard.shows("one: agent/a agent/b", "team: agent/x agent/y");
  assert.match(await dashboard.tmux("show-options", "-g", "prefix"), /C-q/);

  // Another size of the whole is no change of the layout.
  await dashboard.tmux("resize-window", "-t", "=bureau:one", "-x", "120", "-y", "33");
  await dashboard.tmux("rename-window", "-t", "=bureau:one", "first");
  await until("the name is written", () => dashboard.published.length === 1);
  const written = dashboard.published[0]!;
  assert.ok(
    equalLayouts(written, {
      ...layout,
      windows: [
        { name: "first", panes: panes("a", "b") },
        ...layout.windows.slice(1),
      ],
    }),
    JSON.stringify(written),
  );

  await dashboard.tmux("resize-pane", "-t", "=bureau:first.0", "-x", "90");
  await until("the size is written", () => dashboard.published.length === 2);
  // 29 of 120 columns, and the border.
  assert.equal(dashboard.published[1]!.windows[0]!.panes[1]!.size, 24);
  assert.deepEqual(dashboard.published[1]!.windows.slice(1), layout.windows.slice(1));

  // The window of members is one of panes as soon as it is not as it was made.
  await dashboard.tmux("kill-pane", "-t", "=bureau:team.1");
  await until("the end is written", () => dashboard.published.length === 3);
  assert.deepEqual(dashboard.published[2]!.windows.slice(1), [
    { name: "team", panes: [{ observe: "agent/x" }] },
    layout.windows[2],
  ]);

  // A name that a layout can't have is mended in both places; the order is the person's.
  await dashboard.tmux("rename-window", "-t", "=bureau:team", "a##(touch x)\\b");
  await until("a sound name is written", () => dashboard.published.length === 4);
  const name = dashboard.published[3]!.windows[1]!.name;
  assert.doesNotMatch(name, /[#\\]/);
  await dashboard.shows("first: agent/a agent/b", `${name}: agent/x`);
  await dashboard.tmux("swap-window", "-d", "-s", "=bureau:first", "-t", `=bureau:${name}`);
  await until("the order is written", () => dashboard.published.length === 5);
  assert.deepEqual(dashboard.published[4]!.windows.map(({ name }) => name), [
    name,
    "first",
    "nobody",
  ]);
  assert.equal(dashboard.problem, null);
});

Deno.test("a name that a person gives while a layout is being shown is written, and no window twice", async () => {
  await using dashboard = await Dashboard.open({ windows: [{ name: "old", panes: panes("z") }] });
  const { control } = dashboard;
  const run = control.run.bind(control);
  let renamed = false;
  control.run = async (...words) => {
    const answer = await run(...words);
    if (!renamed && words[0] === "select-layout") {
      renamed = true;
      await dashboard.tmux("rename-window", "-t", "=bureau:pair", "both");
    }
    return answer;
  };
  dashboard.layout = {
    windows: [{ name: "pair", panes: panes("a", "b") }, { name: "later", panes: panes("c") }],
  };
  await dashboard.sync.refresh();
  assert.ok(renamed);
  await until("it is written", () => dashboard.published.length > 0);
  assert.deepEqual(dashboard.published.map(({ windows }) => windows.map(({ name }) => name)), [
    ["both", "later"],
  ]);
  await dashboard.shows("both: agent/a agent/b", "later: agent/c");
});

Deno.test("members that come and go are shown, a person's own shells stay, and none of it is written", async () => {
  const layout: Layout = { windows: [{ name: "m", panes: [{ observe_members: {} }] }] };
  await using dashboard = await Dashboard.open(layout);
  await dashboard.shows(`bureau: ${EMPTY.role}`);
  dashboard.members = [member("a")];
  await dashboard.sync.refresh();
  await dashboard.shows("m: agent/a");
  const before = await dashboard.pids();
  await dashboard.tmux("split-window", "-d", "-t", "=bureau:m", "sleep 1000");
  await dashboard.shows("m: agent/a ?");
  dashboard.members = "abcdefghijkl".split("").map((name) => member(name));
  await dashboard.sync.refresh();
  await dashboard.shows(
    "m: agent/a agent/b agent/c agent/d agent/e agent/f",
    "m (2): agent/g agent/h agent/i agent/j agent/k agent/l",
    "local: ?",
  );
  dashboard.members = [member("l"), member("a")];
  await dashboard.sync.refresh();
  await dashboard.shows("m: agent/a agent/l", "local: ?");
  const key = encodeShown({ observe: "agent/a" });
  assert.equal((await dashboard.pids())[key], before[key]);
  dashboard.members = [];
  await dashboard.sync.refresh();
  await dashboard.shows(`bureau: ${EMPTY.role}`, "local: ?");
  assert.deepEqual(dashboard.published, []);
  assert.equal(dashboard.problem, null);
});

Deno.test("what is shown has the places of the layout, whatever was shown before", async () => {
  await using dashboard = await Dashboard.open({ windows: [{ name: "w", panes: panes("a") }] });
  const shapes: Layout["windows"][number]["panes"][] = [
    panes("c", "b", "a"),
    [
      { observe: "agent/a" },
      { observe: "agent/b", split: "vertical", size: 25 },
      { observe: "agent/c", split: "horizontal", of: 0, size: 40 },
      { observe: "agent/d", split: "vertical" },
      { observe: "agent/d", split: "horizontal", of: 1 },
    ],
    [{ observe: "agent/d" }, { observe: "agent/a", split: "vertical", size: 80 }],
  ];
  for (const shape of shapes) {
    const layout: Layout = { windows: [{ name: "w", panes: shape }] };
    dashboard.layout = layout;
    await dashboard.sync.refresh();
    const [window] = await readTmux(dashboard.control);
    const [wanted] = expandLayout(layout, []);
    assert.deepEqual(
      leaves(window!.tree).map(({ shown }) => shown?.observe),
      leaves(treeOf(wanted!.panes)).map(({ observe }) => observe),
    );
  }
  assert.deepEqual(dashboard.published, []);
});
