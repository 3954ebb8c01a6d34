// SPDX-License-Identifier: Apache-2.0

/**
 * A cell for one run, made like a principal's but with nothing of it on disk: its files come by descriptor,
 * so that there is nothing to clean up whatever is killed.
 */
import cp from "node:child_process";
import {
  encodeArguments,
  type SandboxPlan,
  seccompHere,
  tmuxCellArguments,
} from "../../sandbox/mod.ts";
import { CELL_DIRECTORIES, type CellContents, cellFiles } from "../directories.ts";
import { LauncherError } from "../errors.ts";
import { runScript, STARTED, startRunScript } from "./script.ts";

const BWRAP = "/usr/bin/bwrap";
/** After bwrap's arguments, the control channel and the cell's own filter. */
const FILTER = 5;
const FIRST_FILE = 6;
const NOWHERE = {
  agent: "/nowhere/agent",
  admin: "/nowhere/admin",
  egress: "/nowhere/egress",
  tmux: "/nowhere/tmux",
  observe: "/nowhere/observe",
  cell: "/nowhere/cell",
  listen: "/nowhere/listen",
  service: "/nowhere/service",
};

export interface RunCell {
  readonly plan: SandboxPlan;
  readonly pids: number;
  /** The program gets a terminal of its own. */
  readonly terminal: boolean;
  /** Where the program starts; absent: as the plan has it. */
  readonly directory?: string;
  /** Host directory of its proxy's sockets; absent: it has no proxy. */
  readonly agentDir?: string;
  readonly contract?: CellContents["contract"];
  /** What else is to lie in the cell; the sandbox sees `contract/x` as `/run/bureau/contract/x`. */
  readonly files?: readonly (readonly [name: string, data: string])[];
}

type CellFile = readonly [name: string, data: string | Uint8Array];

function filesOf(cell: RunCell): CellFile[] {
  const { plan, pids, terminal, directory, contract = [] } = cell;
  return [
    ...cellFiles({ plan, spec: { payload: {} }, contract }).map(([name, data]): CellFile =>
      name === "nested.args" && directory !== undefined
        ? [name, startIn(directory, data)]
        : [name, data]
    ),
    ["start.sh", startRunScript(plan.command, pids, terminal, plan.files)],
    ["run.sh", runScript(terminal)],
    ...cell.files ?? [],
  ];
}

const bytesOf = (data: string | Uint8Array) =>
  typeof data === "string" ? new TextEncoder().encode(data) : data;

/** The same arguments but for where the program starts. */
function startIn(directory: string, data: string | Uint8Array): Uint8Array {
  const args = new TextDecoder().decode(bytesOf(data)).split("\0").slice(0, -1);
  args[args.indexOf("--chdir") + 1] = directory;
  return encodeArguments(args);
}

/** A principal's cell with its three host directories made inside instead. */
function runCellArguments(
  { plan, agentDir }: RunCell,
  files: readonly CellFile[],
): string[] {
  const instead: Readonly<Record<string, string[]>> = {
    [NOWHERE.tmux]: ["--dir", "/run/bureau/tmux"],
    [NOWHERE.agent]: agentDir === undefined
      ? ["--dir", "/run/bureau/agent"]
      : ["--ro-bind", agentDir, "/run/bureau/agent"],
    [NOWHERE.cell]: [
      "--dir",
      "/cell",
      ...CELL_DIRECTORIES.flatMap((name) => ["--dir", `/cell/${name}`]),
      ...files.flatMap(([name], index) => ["--file", String(FIRST_FILE + index), `/cell/${name}`]),
    ],
  };
  const args = tmuxCellArguments(plan, NOWHERE);
  const replaced: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const other = instead[args[at + 1] ?? ""];
    if (other === undefined) {
      replaced.push(args[at]!);
      continue;
    }
    // `--bind SOURCE DEST`
    replaced.push(...other);
    at += 2;
  }
  return replaced;
}

export interface RunningCell {
  /** 0 to 255; 128 + n when signal n ended it. */
  readonly exited: Promise<number>;
  /** Sends a signal to the program in the sandbox. */
  signal(name: string): void;
  /** With `"pipe"` as its second descriptor. */
  readonly stdout: NodeJS.ReadableStream | null;
}

/**
 * @param stdio of the program: numbers of descriptors that we hold, or as for `spawn`
 * @throws {LauncherError} `run-failed` (by `exited`) when the cell could not be made
 */
export function startRunCell(
  cell: RunCell,
  stdio: readonly [number | "ignore", number | "pipe", number | "inherit"],
): RunningCell {
  const files = filesOf(cell);
  const child = cp.spawn(BWRAP, [
    "--args",
    "3",
    "--seccomp",
    String(FILTER),
    "--",
    "/bin/bash",
    "/cell/run.sh",
  ], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdio: [...stdio, "pipe", "pipe", "pipe", ...files.map(() => "pipe" as const)],
    // Without a terminal the keyboard's signals reach us alone, and we pass them on.
    detached: !cell.terminal,
  });
  const pipes = child.stdio as unknown as readonly {
    on(event: "error" | "data" | "end", listener: (data: Uint8Array) => void): void;
    write(data: string): void;
    end(data: Uint8Array): void;
  }[];
  // A bwrap that ends early closes its ends; its exit says why.
  for (const pipe of pipes.slice(3)) pipe.on("error", () => {});
  pipes[3]!.end(encodeArguments(runCellArguments(cell, files)));
  pipes[FILTER]!.end(seccompHere("cell"));
  for (const [index, [, data]] of files.entries()) pipes[FIRST_FILE + index]!.end(bytesOf(data));
  const control = pipes[4]!;
  const started = new Promise<boolean>((resolve) => {
    let heard = "";
    control.on("data", (data) => {
      heard = (heard + new TextDecoder().decode(data)).slice(-64);
      if (heard.includes(STARTED)) resolve(true);
    });
    // It ends with the last process of the cell.
    control.on("end", () => resolve(false));
    control.on("error", () => resolve(false));
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const exited = ended.then(async ({ code, signal }) => {
    if (await started) return code ?? 137;
    throw new LauncherError(
      "run-failed",
      `Cannot make the sandbox: its cell ended with ${signal ?? `status ${code}`}`,
      { hint: "bwrap's own words are above; `bureau doctor` says what this machine lacks" },
    );
  });
  return { exited, signal: (name) => control.write(`${name}\n`), stdout: child.stdout };
}
