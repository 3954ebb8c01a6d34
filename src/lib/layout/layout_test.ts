// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  equalLayouts,
  equalWindows,
  expandLayout,
  fits,
  isLeaf,
  type Layout,
  leaves,
  machinesLayout,
  mapTree,
  MAX_PANES,
  type Member,
  membersLayout,
  type Pane,
  panesOf,
  parseTmuxLayout,
  pruneTree,
  sameShape,
  tmuxLayout,
  type Tree,
  treeOf,
  validateLayout,
} from "./mod.ts";
import { TmuxServer } from "../../observe/_session.ts";

const account = fc.integer({ min: 0, max: 9 }).map((n) => `agent/a${n}`);

/** Lists of splits as a person may write them. */
const panes = fc.array(
  fc.record({
    observe: account,
    split: fc.constantFrom("horizontal" as const, "vertical" as const),
    size: fc.option(fc.integer({ min: 10, max: 90 }), { nil: undefined }),
    of: fc.option(fc.nat(5), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 7 },
).map((list) =>
  list.map(({ observe, split, size, of }, at): Pane => ({
    observe,
    ...(at === 0 ? {} : { split }),
    ...(at === 0 || size === undefined ? {} : { size }),
    ...(at === 0 || of === undefined || of >= at ? {} : { of }),
  }))
);

const same = (a: Pane, b: Pane) => a.observe === b.observe;

Deno.test("treeOf() and panesOf() undo each other, and rows and columns alternate", () => {
  fc.assert(fc.property(panes, (list) => {
    const tree = treeOf(list);
    const again = panesOf(tree);
    assert.ok(sameShape(treeOf(again), tree, same));
    assert.ok(equalWindows({ name: "w", panes: list }, { name: "w", panes: again }));
    assert.deepEqual(validateLayout({ windows: [{ name: "w", panes: again }] }), []);
    const check = (cell: Tree<Pane>): void => {
      if (isLeaf(cell)) return;
      assert.ok(cell.parts.length >= 2);
      for (const part of cell.parts) {
        assert.ok(isLeaf(part.cell) || part.cell.split !== cell.split);
        check(part.cell);
      }
    };
    check(tree);
  }));
});

Deno.test("tmuxLayout() and parseTmuxLayout() undo each other", () => {
  const box = fc.record({
    cols: fc.integer({ min: 20, max: 300 }),
    rows: fc.integer({ min: 10, max: 100 }),
  });
  fc.assert(fc.property(panes, box, (list, box) => {
    let number = 0;
    const tree = mapTree(treeOf(list), () => number++);
    fc.pre(fits(tree, box));
    const text = tmuxLayout(tree, box);
    const read = parseTmuxLayout(text);
    assert.deepEqual(read.box, { ...box });
    assert.ok(sameShape(read.tree, tree, (a, b) => a === b));
    // What was cut into whole cells once stays as it is.
    assert.equal(tmuxLayout(read.tree, box), text);
  }));
  assert.equal(
    parseTmuxLayout("b25d,80x24,0,0,7").tree && leaves(parseTmuxLayout("b25d,80x24,0,0,7").tree)[0],
    7,
  );
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      parseTmuxLayout(text);
    } catch (thrown) {
      assert.equal((thrown as { code?: string }).code, "bad-geometry");
    }
  }));
});

Deno.test("tmux takes what tmuxLayout() says, and its own splits give the same rows and columns", async () => {
  await using server = await TmuxServer.start(["sleep", "1000"]);
  const box = { cols: 1000, rows: 400 };
  await server.tmux("set-option", "-g", "default-size", "1000x400");
  // tmux splits no pane that is too small for it.
  const roomy = (list: readonly Pane[]) =>
    [...tmuxLayout(mapTree(treeOf(list), () => 1), box).matchAll(/(\d+)x(\d+),\d+,\d+,1/g)]
      .every(([, cols, rows]) => Number(cols) > 5 && Number(rows) > 5);
  const lists = fc.sample(panes, { numRuns: 100, seed: 7 }).filter(roomy).slice(0, 15);
  for (const list of lists) {
    const made = panesOf(treeOf(list));
    const ids: string[] = [];
    for (const [at, pane] of made.entries()) {
      ids.push(
        at === 0
          ? (await server.tmux(
            "new-window",
            "-P",
            "-F",
            "#{pane_id}",
            "-t",
            "=agent:",
            "sleep",
            "1000",
          ))
          : (await server.tmux(
            ...["split-window", "-d", "-P", "-F", "#{pane_id}", "-t", ids[pane.of ?? at - 1]!],
            ...[pane.split === "horizontal" ? "-h" : "-v", "-l", `${pane.size}%`, "sleep", "1000"],
          )),
      );
    }
    const shown = () => server.tmux("display-message", "-p", "-t", ids[0]!, "#{window_layout}");
    const numbers = new Map(made.map((pane, at) => [pane, Number(ids[at]!.slice(1))]));
    const wanted = mapTree(treeOf(made), (pane) => numbers.get(pane as typeof made[number])!);
    const split = parseTmuxLayout(await shown());
    assert.ok(sameShape(split.tree, wanted, (a, b) => a === b), JSON.stringify(made));
    await server.tmux("select-layout", "-t", ids[0]!, tmuxLayout(wanted, box));
    assert.equal(await shown(), tmuxLayout(wanted, box));
    await server.tmux("kill-window", "-t", ids[0]!);
  }
});

Deno.test("pruneTree() leaves the others where they were", () => {
  fc.assert(fc.property(panes, fc.func(fc.boolean()), (list, keep) => {
    const tree = treeOf(list);
    const kept = leaves(tree).filter((pane) => keep(pane.observe));
    const pruned = pruneTree(tree, (pane) => keep(pane.observe));
    assert.deepEqual(pruned === null ? [] : leaves(pruned), kept);
    if (pruned === null) return;
    const again = treeOf(panesOf(pruned));
    assert.ok(sameShape(again, pruned, same));
  }));
});

const members: Member[] = ["b", "a", "c"].map((name) => ({
  account: `agent/${name}`,
  machine: name === "c" ? "two" : "one",
  labels: { team: name === "c" ? "web" : "core" },
}));

Deno.test("expandLayout() puts members in their place, the first one where the pane would be", () => {
  const layout: Layout = {
    windows: [
      {
        name: "work",
        panes: [
          { role: "notes" },
          { observe_members: { labels: { team: "core" } }, split: "horizontal", size: 60 },
          { observe: "agent/z", split: "vertical", of: 0 },
        ],
      },
      { name: "nobody", panes: [{ observe_members: { labels: { team: "none" } } }] },
      { name: "first", panes: [{ observe_members: {}, split: "horizontal" }, { role: "x" }] },
    ],
  };
  assert.deepEqual(validateLayout(layout), []);
  assert.deepEqual(expandLayout(layout, members), [
    {
      name: "work",
      panes: [
        { role: "notes" },
        { observe: "agent/a", split: "horizontal", size: 60 },
        { observe: "agent/b", split: "horizontal" },
        { observe: "agent/z", split: "vertical", of: 0 },
      ],
      source: 0,
    },
    {
      name: "first",
      panes: [
        { observe: "agent/a" },
        { observe: "agent/b", split: "horizontal" },
        { observe: "agent/c", split: "horizontal" },
        { role: "x", split: "vertical" },
      ],
      source: 2,
    },
  ]);
});

Deno.test("expandLayout() splits what exists: whatever members there are, the splits are sound", () => {
  const some = fc.array(fc.nat(40), { maxLength: 30 }).map((list): Member[] =>
    [...new Set(list)].map((n) => ({
      account: `agent/m${n}`,
      machine: "one",
      labels: { team: String(n % 3) },
    }))
  );
  const pane = fc.oneof(
    account.map((observe) => ({ observe })),
    fc.nat(3).map((n) => ({ observe_members: n === 3 ? {} : { labels: { team: String(n) } } })),
  );
  const layout = fc.array(fc.tuple(pane, panes), { minLength: 1, maxLength: 3 }).map((
    list,
  ): Layout => ({
    windows: list.map(([first, rest], at) => ({
      name: `w${at}`,
      panes: [first, ...rest.slice(1), { observe_members: {} }],
    })),
  }));
  fc.assert(fc.property(layout, some, (layout, some) => {
    for (const { panes, source } of expandLayout(layout, some)) {
      assert.ok(panes.length > 0);
      assert.ok(source < layout.windows.length);
      assert.equal(leaves(treeOf(panes)).length, panes.length);
      for (const [at, pane] of panes.entries()) {
        assert.ok(pane.of === undefined || pane.of < at);
        assert.equal(pane.observe_members, undefined);
      }
    }
  }));
  fc.assert(fc.property(some, (some) => {
    const windows = expandLayout(membersLayout("m"), some);
    assert.deepEqual(
      windows.flatMap(({ panes }) => leaves(treeOf(panes)).map(({ observe }) => observe)),
      some.map(({ account }) => account).sort(),
    );
    for (const { panes } of windows) {
      assert.ok(panes.length <= MAX_PANES);
      // Each gets a part that can be read, on a terminal of an ordinary size.
      const cells = tmuxLayout(mapTree(treeOf(panes), () => 1), { cols: 120, rows: 40 });
      for (const [, cols, rows] of cells.matchAll(/(\d+)x(\d+),\d+,\d+,1/g)) {
        assert.ok(Number(cols) >= 35 && Number(rows) >= 12, cells);
      }
    }
    assert.deepEqual(validateLayout(machinesLayout(some)), []);
  }));
  assert.deepEqual(machinesLayout(members).windows.map(({ name }) => name), ["one", "two"]);
});

Deno.test("equalLayouts() sees what a person would see, and nothing else", () => {
  const layout: Layout = {
    windows: [{ name: "w", panes: [{ observe: "agent/a" }, { observe: "agent/b", size: 50 }] }],
  };
  const change = (edit: (copy: Layout) => void) => {
    const copy = structuredClone(layout);
    edit(copy);
    return copy;
  };
  assert.ok(equalLayouts(layout, change((copy) => copy.source_machine = "@m:s")));
  assert.ok(equalLayouts(layout, change((copy) => delete copy.windows[0]!.panes[1]!.size)));
  assert.ok(equalLayouts(layout, change((copy) => copy.windows[0]!.panes[1]!.split = "vertical")));
  const differ: ((copy: Layout) => void)[] = [
    (copy) => copy.prefix = "C-a",
    (copy) => copy.windows[0]!.name = "v",
    (copy) => copy.windows[0]!.panes.reverse(),
    (copy) => copy.windows[0]!.panes[1]!.size = 60,
    (copy) => copy.windows[0]!.panes[1]!.split = "horizontal",
    (copy) => copy.windows.push({ name: "v", panes: [{ role: "x" }] }),
    (copy) => copy.windows[0]!.panes[0] = { observe_members: {} },
  ];
  for (const edit of differ) {
    assert.ok(!equalLayouts(layout, change(edit)), String(edit));
  }
});

Deno.test("validateLayout() names each mistake", () => {
  const mistakes = validateLayout({
    prefix: "C-a; run-shell x",
    windows: [
      { name: "#(touch /tmp/x)", panes: [] },
      {
        name: "w",
        panes: [{ observe: "agent/A b" }, { observe: "agent/a", role: "x", of: 1 }, {}],
      },
      { name: "w", panes: [{ command: "a\nb", size: 50 }] },
    ],
  });
  assert.deepEqual(mistakes.map(({ field }) => field), [
    "prefix",
    "windows[0].name",
    "windows[0].panes",
    "windows[1].panes[0].observe",
    "windows[1].panes[1]",
    "windows[1].panes[1].of",
    "windows[1].panes[2]",
    "windows[2].name",
    "windows[2].panes[0].command",
    "windows[2].panes[0].size",
  ]);
});
