// SPDX-License-Identifier: Apache-2.0

/** What a person typed about a worker, as documents: its sandbox's, for a launcher, and its spec. */
import type { LauncherBootstrap } from "../../launcher/api.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { networkOf } from "../sandbox/network.ts";
import { builtinTemplate, launcherDocument, parseBind, wayOut, words } from "../sandbox/request.ts";

/** Bureau's own programs, as every sandbox with a bridge has them. */
export const RUNTIME = "/opt/bureau";

type Binds = NonNullable<LauncherBootstrap["sandbox"]>["binds"];

export interface Given {
  readonly assignments?: string;
  readonly spec?: string;
  /** What the file of --token-file holds. */
  readonly token?: string;
  readonly mcp?: string;
  /** Lines for `networkOf`. */
  readonly rest: string;
}

const FILES: ReadonlySet<string> = new Set(["--assignments", "--spec", "--token-file", "--mcp"]);

/** `tasks/sandbox.sh` reads for us, and writes lines `NAME BASE64`. */
export async function readGiven(call: Invocation): Promise<Given> {
  if (textFlag(call, "host") === undefined) {
    throw new CliError("usage", "Cannot prepare a worker: nobody made a place for it", {
      hint: "run `sh tasks/bureau`, which does",
    });
  }
  const text = await new Response(Deno.stdin.readable).text();
  const found = new Map<string, string>();
  const rest: string[] = [];
  for (const line of text.split("\n")) {
    const [name, value = ""] = line.split(" ");
    if (FILES.has(name!)) found.set(name!, decode(value));
    else rest.push(line);
  }
  const [assignments, spec] = [found.get("--assignments"), found.get("--spec")];
  const mcp = found.get("--mcp");
  const token = found.get("--token-file");
  return {
    ...(assignments === undefined ? {} : { assignments }),
    ...(spec === undefined ? {} : { spec }),
    ...(mcp === undefined ? {} : { mcp }),
    ...(token === undefined ? {} : { token }),
    rest: rest.join("\n"),
  };
}

const decode = (base64: string) =>
  new TextDecoder().decode(Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0)));

export function textFlag(call: Invocation, name: string): string | undefined {
  const value = call.flags[name];
  return typeof value === "string" ? value : undefined;
}

/** @param shared directories that it has at the same path as we */
export function launcherOf(
  call: Invocation,
  given: Given,
  shared: readonly string[] = [],
): Promise<LauncherBootstrap> {
  const { flags } = call;
  return sandboxOf(call, {
    template: String(flags["template"]),
    asked: networkOf(words(flags["allow-host"]), words(flags["credential"]), given.rest),
    binds: bindsOf(call),
    shared,
  });
}

export interface Sandbox {
  /** Name of a built-in one. */
  readonly template: string;
  readonly asked: ReturnType<typeof networkOf>;
  readonly binds: Binds;
  readonly shared: readonly string[];
}

/** For a launcher of its own; what is to run there is told later. */
export async function sandboxOf(
  call: Invocation,
  { template: name, asked, binds, shared }: Sandbox,
): Promise<LauncherBootstrap> {
  const template = await builtinTemplate(name);
  return launcherDocument(call, "run", {
    template: { ...template, ...wayOut(asked) },
    binds: [
      ...binds,
      ...shared.map((dir) => ({ source: dir, dest: dir, mode: "rw" as const })),
      // A bridge brings it along.
      ...(asked === null
        ? [{ source: textFlag(call, "runtime") ?? "", dest: RUNTIME, mode: "ro" as const }]
        : []),
    ],
    command: [],
    terminal: false,
    ...(asked === null ? {} : { network: asked.network }),
  });
}

function bindsOf({ flags }: Invocation): Binds {
  return [
    ...words(flags["ro"]).map((path) => parseBind(path, "ro")),
    ...words(flags["rw"]).map((path) => parseBind(path, "rw")),
  ];
}

/** As JSON has it. */
export const plain = (document: unknown) => JSON.parse(JSON.stringify(document));

/**
 * @param command of a cli_adapter, and its arguments
 * @param meeting the worker's fabric_dir, which whoever starts it may replace
 */
export function specOf(
  call: Invocation,
  given: Given,
  command: readonly string[],
  meeting: string,
): Record<string, unknown> {
  const { flags } = call;
  const base = given.spec === undefined ? {} : parseSpecFile(given.spec);
  const kind = textFlag(call, "executor");
  const model = textFlag(call, "model");
  const at = model?.indexOf("/") ?? -1;
  if (model !== undefined && (at < 1 || at === model.length - 1)) {
    throw new CliError("usage", `Cannot use the model "${model}": it is not PROVIDER/MODEL`);
  }
  const [program, ...args] = command;
  if (program !== undefined && kind !== undefined && kind !== "cli_adapter") {
    throw new CliError("usage", `Cannot run a command with the executor "${kind}"`, {
      hint: "a command is a cli_adapter's",
    });
  }
  const executor = program !== undefined
    ? { kind: "cli_adapter", command: program, args }
    : kind !== undefined
    ? { kind }
    : base["executor"] ?? { kind: "echo" };
  const limits = {
    ...(base["limits"] as Record<string, unknown> | undefined),
    ...(flags["timeout"] === undefined ? {} : { run_timeout_secs: flags["timeout"] }),
    ...(flags["rounds"] === undefined ? {} : { max_rounds: flags["rounds"] }),
  };
  const tools = words(flags["disable-tool"]);
  const workspace = placeOf(textFlag(call, "here"), bindsOf(call));
  return {
    version: 1,
    ...base,
    identity: {
      ...(base["identity"] as Record<string, unknown> | undefined),
      child_id: "w0",
      ...(flags["role"] === undefined ? {} : { role: flags["role"] }),
    },
    executor,
    fabric_dir: meeting,
    ...(workspace === undefined ? {} : { workspace }),
    ...(model === undefined
      ? {}
      : { model: { provider: model.slice(0, at), model: model.slice(at + 1) } }),
    ...(tools.length === 0 ? {} : { disabled_tools: [...tools] }),
    limits,
  };
}

function parseSpecFile(text: string): Record<string, unknown> {
  try {
    const json = JSON.parse(text);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  } catch {
    // The parser's words would quote it.
  }
  throw new CliError("usage", "Cannot use the file of --spec: it is not a JSON object");
}

/** Where the person stands, as the sandbox names it; undefined where no bind holds it. */
function placeOf(here: string | undefined, binds: Binds): string | undefined {
  if (here === undefined) return undefined;
  const [holding] = binds
    .filter(({ source }) => here === source || here.startsWith(`${source}/`))
    .toSorted((a, b) => b.source.length - a.source.length);
  return holding === undefined ? undefined : holding.dest + here.slice(holding.source.length);
}
