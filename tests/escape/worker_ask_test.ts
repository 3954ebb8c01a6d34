// SPDX-License-Identifier: Apache-2.0

/** Tool calls of workers that need leave: the person at the terminal is asked; where nobody is, the answer is no. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { Place, processes } from "./worker_place.ts";

/** Asks leave as Claude Code does, for each command that it is given, and says what it was told. */
const ASKER = `read assignment
said=
for command in "$@"; do
  [ "$command" != --input-format ] || break
  printf '{"type":"control_request","request_id":"%s","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"%s"},"description":"to be tidy"}}\\n' "$command" "$command"
  read answer
  case "$answer" in *'"allow"'*) said="$said $command:allowed" ;; *) said="$said $command:denied" ;; esac
done
printf '{"type":"result","subtype":"success","is_error":false,"result":"%s"}\\n' "$said"
while read more; do :; done
`;
const STREAM = ["--input-format", "stream-json", "--output-format", "stream-json"];

/** @param commands that leave is asked for */
const asking = (...commands: string[]) => [
  ...["--role", "builder", "--assignment", "x", "--"],
  ...["sh", "-c", ASKER, "asker", ...commands, ...STREAM],
];

/** What stands on a terminal, as it comes. */
function screenOf(child: Deno.ChildProcess) {
  let text = "";
  const done = (async () => {
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) text += part;
  })();
  const keys = child.stdin.getWriter();
  return {
    done,
    get text() {
      return text;
    },
    shows: (wanted: string | RegExp) =>
      eventually(`the terminal shows ${wanted}`, () => {
        if (text.search(wanted) === -1) throw new Error(text);
        return Promise.resolve(true);
      }, 120_000),
    type: (typed: string) => keys.write(new TextEncoder().encode(typed)),
    close: () => keys.close().catch(() => {}),
  };
}

Deno.test("worker run: nobody to ask is a no at once, and it is said how to be asked", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const done = await place.run(["run", ...asking("one", "two")]);
  assert.deepEqual(done, {
    code: 0,
    out: " one:denied two:denied\n",
    err: [
      "denied: builder: Bash: one",
      "hint: --ask terminal asks you here, --ask room in the machine's room",
      "denied: builder: Bash: two",
      "",
    ].join("\n"),
  });
  const wrong = await place.run(["run", "--ask", "somebody", ...asking("one")]);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.err, /--ask is terminal, room or nobody/);
  // There is no Bureau whose room it could be.
  const room = await place.run(["run", "--ask", "room", ...asking("one")]);
  assert.notEqual(room.code, 0);
  assert.match(room.err, /Cannot find Bureau/);
});

Deno.test("worker run: the person at the terminal is asked, call by call, and theirs is the answer", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const child = place.spawnOnTerminal("run", ...asking("one", "two", "three"));
  const screen = screenOf(child);
  try {
    await screen.shows("builder asks whether it may call Bash");
    await screen.shows(/\| one\r\n[^?]*\| to be tidy\r\nAllow this one call\?/);
    await screen.type("y\n");
    await screen.shows(/\| two\r\n[^?]*Allow this one call\?/);
    await screen.type("\n");
    await screen.shows(/\| three\r\n[^?]*Allow this one call\?/);
    await screen.type("n\n");
    await screen.shows("one:allowed two:denied three:denied");
    assert.equal((await child.status).code, 0);
  } finally {
    await screen.close();
    await child.status;
    await screen.done;
    await child.stderr.cancel();
  }
});

Deno.test("worker run: a parent that is killed while it asks leaves no process and no question", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const mark = `m${crypto.randomUUID()}`;
  const child = place.spawnOnTerminal("run", ...asking(mark));
  const screen = screenOf(child);
  const parent = async () => {
    for (const pid of await processes("/parent.js")) {
      const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
      if (environment.includes(place.dir)) return pid;
    }
    return null;
  };
  try {
    await screen.shows("Allow this one call");
    Deno.kill(await eventually("its parent", parent), "SIGKILL");
    assert.notEqual((await child.status).code, 0);
    // Its approver, which has the directory among its arguments, among them.
    await eventually("nothing of it is left", async () => {
      const left = [...await processes(mark), ...await processes(`${place.dir}/s`)];
      if (left.length > 0) throw new Error(`${left}`);
      return true;
    });
  } finally {
    await screen.close();
    await child.status;
    await screen.done;
    await child.stderr.cancel();
  }
});
