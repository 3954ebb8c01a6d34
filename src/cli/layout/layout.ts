// SPDX-License-Identifier: Apache-2.0

/** `layout show`, `layout set` and `layout edit`. */
import { stringify } from "yaml";
import { expandLayout, type Layout, validateLayout } from "../../lib/layout/mod.ts";
import { Layout as LayoutSchema } from "../../lib/schema/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { mistakeLine, readDocument } from "../framework/document.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient } from "../session.ts";
import { readScene, type Scope, scopeOf, writeLayout } from "./scope.ts";
import type * as results from "./results.ts";

/** First line of what `layout edit` hands to the editor: what it began with. */
const BEGAN = /^# of the layout (\S+)$/m;

async function open(call: Invocation) {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const room = call.flags["room"];
  const scope = await scopeOf(call, client, session, room === undefined ? undefined : String(room));
  return { session, client, scope, scene: await readScene(client, session, scope) };
}

const titleOf = ({ kind, name }: Scope) => kind === "all" ? "everything" : `the ${kind} ${name}`;

function yamlOf(layout: Layout): string {
  const { version: _, ...shown } = layout;
  return stringify(shown, { lineWidth: 100 });
}

export const show: CommandHandler<typeof results.show> = async (call) => {
  const { scope, scene } = await open(call);
  const expanded = call.flags["expanded"] === true;
  const windows = expandLayout(scene.layout, scene.members);
  const layout = expanded
    ? { ...scene.layout, windows: windows.map(({ name, panes }) => ({ name, panes: [...panes] })) }
    : scene.layout;
  call.print(
    `# ${titleOf(scope)}: ${
      scene.stored === null ? "nobody wrote a layout; all that is there" : "as it was written"
    }` +
      (expanded ? ", with its members" : ""),
  );
  if (scene.problem !== null) {
    call.print(`# what stands there is not used: ${neutralise(scene.problem)}`);
  }
  for (const line of neutralise(yamlOf(layout)).trimEnd().split("\n")) call.print(line);
  return {
    scope: scope.kind,
    name: scope.name,
    room: scope.room,
    stored: scene.stored !== null,
    problem: scene.problem,
    digest: scene.digest,
    layout,
  };
};

export const set: CommandHandler<typeof results.set> = async (call) => {
  const text = await readText(call, call.args[0]!);
  const layout = readLayout(call, text);
  const { client, scope, scene } = await open(call);
  return await write(call, client, scope, layout, scene.digest);
};

/**
 * In two calls: without --done it prints what is to be edited, with it it takes what became of that. `sh tasks/bureau`
 * has the editor started in between, which this process may not.
 */
export const edit: CommandHandler<typeof results.edit> = async (call) => {
  if (call.flags["done"] !== true) {
    const { scope, scene } = await open(call);
    call.emit(`# of the layout ${scene.digest}`);
    call.emit(`# ${titleOf(scope)}. A window has panes; each but the first splits one before it:`);
    call.emit(
      "#   observe: agent/NAME | observe_members: {labels: {KEY: VALUE}} | role: TEXT | command: TEXT",
    );
    call.emit(
      "#   split: horizontal (side by side) | vertical, size: PERCENT, of: NUMBER OF THE PANE, from 0",
    );
    call.emit(
      "# Without a window all that is there is shown. Nothing changes when nothing was edited.",
    );
    if (scene.problem !== null) {
      call.emit(`# What stands there is not used: ${neutralise(scene.problem)}`);
    }
    for (const line of neutralise(yamlOf(scene.layout)).trimEnd().split("\n")) call.emit(line);
    return undefined;
  }
  const text = await readText(call, "-");
  const layout = readLayout(call, text);
  const { client, scope, scene } = await open(call);
  const began = BEGAN.exec(text)?.[1];
  if (began !== undefined && began !== scene.digest) {
    throw new CliError(
      "changed",
      `Cannot change the layout of ${titleOf(scope)}: it has changed meanwhile`,
      {
        status: 409,
        hint: "your text is kept; look at `bureau layout show`, then edit again",
      },
    );
  }
  return await write(call, client, scope, layout, scene.digest);
};

async function write(
  call: Invocation,
  client: ReturnType<typeof matrixClient>,
  scope: Scope,
  layout: Layout,
  before: string,
) {
  const digest = await writeLayout(client, scope, layout);
  const changed = digest !== before;
  call.print(
    !changed
      ? `the layout of ${titleOf(scope)} is as it was`
      : digest === "none"
      ? `${titleOf(scope)} has no layout any more: all that is there is shown`
      : `wrote the layout of ${titleOf(scope)}: ${
        layout.windows.map(({ name }) => name).join(", ")
      }`,
  );
  return { scope: scope.kind, name: scope.name, room: scope.room, changed, digest };
}

/** @throws {CliError} `no-such-file`, `usage` */
async function readText(call: Invocation, argument: string): Promise<string> {
  if (argument !== "-") {
    throw new CliError("no-such-file", `Cannot read "${argument}": there is no such file`, {
      status: 404,
    });
  }
  const bytes = await call.input();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CliError("usage", `Cannot read "${sourceOf(call)}": it is not UTF-8`, { cause });
  }
}

const sourceOf = (call: Invocation) => String(call.flags["source"] ?? "stdin");

/** @throws {CliError} `invalid-layout` with each mistake and its place */
function readLayout(call: Invocation, text: string): Layout {
  const { value, mistakes } = readDocument(text, {
    schema: LayoutSchema,
    noun: "layout",
    validate: validateLayout,
  });
  if (value !== null && mistakes.length === 0) return value;
  const source = sourceOf(call);
  const lines = mistakes.map((mistake) => mistakeLine(source, mistake));
  for (const line of lines.slice(1)) call.print(line);
  throw new CliError(
    "invalid-layout",
    `Cannot use "${source}": ${lines[0]}${
      lines.length > 1 ? `, and ${lines.length - 1} more` : ""
    }`,
    { status: 422, hint: "docs/guide/watching.md shows what a layout holds" },
  );
}
