// SPDX-License-Identifier: Apache-2.0

/** What the server promises, asked by the official client: rights, calls at once, progress, cancelling, pages. */
import assert from "node:assert/strict";
import { BureauError } from "../lib/errors.ts";
import { eventually, failureIn, grants, Scene, tool } from "./testing/scene.ts";

const NAME = { type: "string", description: "a name" } as const;

Deno.test("a tool without a grant is neither listed nor found nor callable, as if it were not there", async () => {
  const called: string[] = [];
  const make = (name: string) =>
    tool({
      name,
      call: () => {
        called.push(name);
        return Promise.resolve({ name });
      },
    });
  await using scene = await Scene.start({
    tools: [make("bureau_open"), make("bureau_secret")],
    policy: grants("command/bureau_open"),
  });
  assert.deepEqual(await scene.names(), ["bureau_open"]);
  const asked = async (name: string) => {
    try {
      return (await scene.call(name)).isError ?? false;
    } catch (thrown) {
      return String((thrown as Error).message).replace(name, "X");
    }
  };
  const unknown = await asked("bureau_nothing");
  assert.match(String(unknown), /-32602.*Unknown tool: X/);
  assert.equal(await asked("bureau_secret"), unknown);
  assert.deepEqual(called, []);
  // Control: with the grant it is there, and the client is told so.
  await scene.grant(grants("command/*"));
  await eventually(() => scene.heard.some(({ method }) => /tools\/list_changed$/.test(method)));
  assert.deepEqual(await scene.names(), ["bureau_open", "bureau_secret"]);
  assert.equal(await asked("bureau_secret"), false);
  assert.deepEqual(called, ["bureau_secret"]);
  // Taken away between two looks: the next call finds out by itself.
  scene.policy = {
    grants: [{ actions: ["**"] }],
    denials: [{ actions: ["command/bureau_secret"] }],
  };
  assert.equal(await asked("bureau_secret"), unknown);
  assert.deepEqual(await scene.names(), ["bureau_open"]);
});

Deno.test("a grant that runs out takes its tool away without anybody writing anything", async () => {
  const soon = new Date(Date.now() + 1_500).toISOString();
  await using scene = await Scene.start({
    tools: [tool({ name: "bureau_a" })],
    policy: { grants: [{ actions: ["**"], expires_at: soon }], denials: [] },
  });
  await eventually(async () => (await scene.names()).length === 0);
  assert.ok(Date.now() >= Date.parse(soon));
});

Deno.test("while the rights can't be read nothing is listed, and calls say that it may pass", async () => {
  await using scene = await Scene.start({ tools: [tool({ name: "bureau_a" })] });
  await scene.call("bureau_a");
  await scene.grant(new BureauError("unreachable", "Cannot reach the daemon"));
  assert.deepEqual(await scene.names(), []);
  const { category, retryable } = failureIn(await scene.call("bureau_a"));
  assert.deepEqual([category, retryable], ["transient", true]);
  await eventually(() => scene.heard.some(({ method }) => method === "notifications/message"));
  await scene.grant(grants("**"));
  assert.equal((await scene.call("bureau_a")).isError, undefined);
});

Deno.test("what destroys or grants is refused without its own `yes`, also by way of bureau_tools_call", async () => {
  for (const progressive of [false, true]) {
    for (const effect of ["destroys", "grants"] as const) {
      const seen: unknown[] = [];
      await using scene = await Scene.start({
        progressive,
        tools: [tool({
          name: "bureau_x",
          effect,
          properties: { name: NAME },
          required: ["name"],
          call: (args) => {
            seen.push(args);
            return Promise.resolve({});
          },
        })],
      });
      const call = (args: Record<string, unknown>) =>
        progressive
          ? scene.call("bureau_tools_call", { name: "bureau_x", arguments: args })
          : scene.call("bureau_x", args);
      for (const args of [{ name: "a" }, { name: "a", yes: false }, { name: "a", yes: "true" }]) {
        assert.equal(failureIn(await call(args)).category, "validation");
      }
      assert.deepEqual(seen, []);
      assert.equal((await call({ name: "a", yes: true })).isError, undefined);
      assert.deepEqual(seen, [{ name: "a" }]);
      if (progressive) continue;
      const [{ annotations, inputSchema }] = (await scene.client.listTools()).tools as never as [
        { annotations: Record<string, boolean>; inputSchema: { required: string[] } },
      ];
      assert.equal(annotations["destructiveHint"], true);
      assert.equal(annotations["readOnlyHint"], false);
      assert.ok(inputSchema.required.includes("yes"));
    }
  }
});

Deno.test("errors have a category, whether to try again, and what to do", async () => {
  const error = (code: string, status: number) =>
    new BureauError(code, "Cannot", { status, hint: "do" });
  const cases: readonly [unknown, string, boolean][] = [
    [error("no-such-agent", 404), "not_found", false],
    [error("forbidden", 403), "forbidden", false],
    [error("usage", 500), "validation", false],
    [error("exists", 409), "conflict", false],
    [error("not-running", 500), "transient", true],
    [error("limited", 429), "transient", true],
    [error("x", 500), "internal", false],
    [new TypeError("oops"), "internal", false],
  ];
  const tools = cases.map(([thrown], at) =>
    tool({ name: `bureau_${at}`, call: () => Promise.reject(thrown) })
  );
  await using scene = await Scene.start({
    tools: [
      ...tools,
      tool({ name: "bureau_typed", properties: { n: { ...NAME, type: "number" } } }),
    ],
  });
  for (const [at, [thrown, category, retryable]] of cases.entries()) {
    const found = failureIn(await scene.call(`bureau_${at}`));
    assert.deepEqual([found.category, found.retryable], [category, retryable], String(thrown));
    if (thrown instanceof BureauError) assert.equal(found.hint, "do");
  }
  const wrong = failureIn(await scene.call("bureau_typed", { n: "1", other: true }));
  assert.equal(wrong.category, "validation");
  assert.match(wrong.message, /"n" must be a number; "other" is no parameter/);
});

Deno.test("calls run at once; one that is cancelled is told so, and the others go on", async () => {
  const started: string[] = [];
  const doors = new Map<string, () => void>();
  let cancelled: unknown;
  await using scene = await Scene.start({
    tools: [tool({
      name: "bureau_wait",
      properties: { name: NAME },
      call: (args, { signal, line }) => {
        const name = args["name"] as string;
        started.push(name);
        line(`waiting as ${name}`);
        line("\x1b[31mred");
        return new Promise((resolve, reject) => {
          doors.set(name, () => resolve({ name }));
          signal.addEventListener("abort", () => {
            cancelled = name;
            reject(signal.reason);
          });
        });
      },
    })],
  });
  const lines: string[] = [];
  const begin = (name: string, signal?: AbortSignal) =>
    scene.client.callTool({ name: "bureau_wait", arguments: { name } }, undefined, {
      ...(signal === undefined ? {} : { signal }),
      onprogress: ({ message }) => lines.push(message!),
    });
  const stop = new AbortController();
  const [a, b, c] = [begin("a"), begin("b", stop.signal), begin("c")];
  const failed = assert.rejects(b);
  await eventually(() => started.length === 3);
  stop.abort();
  await failed;
  await eventually(() => cancelled === "b");
  // In another order than they began.
  doors.get("c")!();
  assert.deepEqual((await c).structuredContent, { name: "c" });
  doors.get("a")!();
  assert.deepEqual((await a).structuredContent, { name: "a" });
  assert.ok(lines.includes("waiting as a") && lines.includes("waiting as c"), lines.join());
  assert.ok(lines.includes("\\x1b[31mred") && !lines.join().includes("\x1b"));
});

Deno.test("a session has so many calls at once and no more, and then again some", async () => {
  const doors: (() => void)[] = [];
  await using scene = await Scene.start({
    tools: [tool({
      name: "bureau_wait",
      call: () => new Promise((resolve) => doors.push(() => resolve({}))),
    })],
  });
  const running = Array.from({ length: 32 }, () => scene.call("bureau_wait"));
  await eventually(() => doors.length === 32);
  assert.equal(failureIn(await scene.call("bureau_wait")).code, "busy");
  for (const open of doors.splice(0)) open();
  await Promise.all(running);
  const next = scene.call("bureau_wait");
  await eventually(() => doors.length === 1);
  doors[0]!();
  assert.equal((await next).isError, undefined);
});

Deno.test("a long list comes in pages; what goes meanwhile hides nothing else", async () => {
  const names = Array.from({ length: 120 }, (_, at) => `bureau_${String(at).padStart(3, "0")}`);
  await using scene = await Scene.start({ tools: names.map((name) => tool({ name })) });
  const first = await scene.client.listTools();
  assert.equal(first.tools.length, 100);
  // The last one of the page, behind which the cursor stands.
  await scene.grant({
    grants: [{ actions: ["**"] }],
    denials: [{ actions: ["command/bureau_099"] }],
  });
  const seen = first.tools.map(({ name }) => name);
  let cursor = first.nextCursor;
  while (cursor !== undefined) {
    const page = await scene.client.listTools({ cursor });
    seen.push(...page.tools.map(({ name }) => name));
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen, names);
  await assert.rejects(scene.client.listTools({ cursor: "bogus" }), /-32602/);
});

Deno.test("a result that is no object is put into one, and one beyond all measure is refused", async () => {
  await using scene = await Scene.start({
    tools: [
      tool({ name: "bureau_list", call: () => Promise.resolve([1, 2]) }),
      tool({ name: "bureau_none", call: () => Promise.resolve(undefined) }),
      tool({ name: "bureau_huge", call: () => Promise.resolve({ text: "x".repeat(1024 * 1024) }) }),
      tool({
        name: "bureau_typed",
        outputSchema: {
          type: "object",
          properties: { n: { type: "number" } },
          required: ["n"],
        },
        call: () => Promise.resolve({ n: 1, more: true }),
      }),
    ],
  });
  await scene.client.listTools();
  assert.deepEqual((await scene.call("bureau_list")).structuredContent, { result: [1, 2] });
  assert.deepEqual((await scene.call("bureau_none")).structuredContent, { done: true });
  assert.equal(failureIn(await scene.call("bureau_huge")).code, "too-large");
  // The client itself holds this one against the schema.
  assert.deepEqual((await scene.call("bureau_typed")).structuredContent, { n: 1, more: true });
});
