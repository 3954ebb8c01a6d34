// SPDX-License-Identifier: Apache-2.0

/** Starts bwrap: a principal's tmux cell, its proxy's cell, its relay's cell. */
import cp from "node:child_process";
import fs from "node:fs";
import { messageOf } from "../lib/errors.ts";
import { parseErrorBody } from "../lib/http/errors.ts";
import { denoArguments } from "../lib/process/mod.ts";
import { Tmux } from "../lib/tmux/mod.ts";
import {
  encodeArguments,
  FEW_ALLOCATIONS,
  type PrincipalDirectories,
  RUNTIME_DIR,
  type SandboxPlan,
  seccompHere,
  serviceCellArguments,
  tmuxCellArguments,
  tmuxClientArguments,
} from "../sandbox/mod.ts";
import { LauncherError } from "./errors.ts";
import { type Enter, waiting } from "./limits_enter.ts";

const BWRAP = "/usr/bin/bwrap";
/** In a cell that is audited. */
const AUDIT_DIR = "/run/bureau/audit";
/** Of a proxy or relay: Deno starts in 30 ms; a loaded machine takes seconds. */
const READY_MS = 15_000;

/**
 * Starts the cell that outlives us: its own session, no pipe to us.
 *
 * @param args of its bwrap; tests give others, to see a breach that these prevent
 */
export function startTmuxCell(
  plan: SandboxPlan,
  dirs: PrincipalDirectories,
  args: readonly string[] = tmuxCellArguments(plan, dirs),
  enter?: Enter,
): { failed: Promise<string>; gone: Promise<void> } {
  const filter = plan.seccomp === null ? null : seccompHere("cell");
  const limited = waiting(enter, filter === null ? 5 : 6);
  const log = fs.openSync(`${dirs.cell}/tmux.log`, "w", 0o600);
  const child = cp.spawn(BWRAP, [
    "--args",
    "3",
    // Held open by the cell's init, so that its end says that nothing in there is left.
    "--sync-fd",
    "4",
    ...(filter === null ? [] : ["--seccomp", "5"]),
    ...limited.args,
    "--",
    "/usr/bin/tmux",
    // Not `-D`: a foreground server of tmux 3.3a learns of a child's end only with its next event. The
    // daemonised one is kept by bwrap's own init, which ends with the last process of its cell.
    "-f",
    "/cell/tmux.conf",
    "-S",
    "/run/bureau/tmux/tmux.sock",
    "start-server",
  ], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdio: [
      "ignore",
      log,
      log,
      "pipe",
      "pipe",
      ...(filter === null ? [] : ["pipe" as const]),
      ...limited.stdio,
    ],
    detached: true,
  });
  fs.closeSync(log);
  send(child, 3, encodeArguments(args));
  if (filter !== null) send(child, 5, filter);
  const entered = limited.go(child);
  child.unref();
  const lifeline = child.stdio[4] as unknown as NodeJS.ReadableStream;
  const gone = new Promise<void>((resolve) => {
    for (const event of ["close", "end", "error"]) lifeline.once(event, () => resolve());
    lifeline.resume();
  });
  const failed = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    entered.catch((thrown) => resolve(messageOf(thrown)));
    // Status 0: the server is up and belongs to the cell now.
    child.once("exit", (code, signal) => {
      if (code !== 0) resolve(`ended with ${signal ?? `status ${code}`}`);
    });
  });
  return { failed, gone };
}

function send(child: cp.ChildProcess, fd: number, data: Uint8Array): void {
  const pipe = child.stdio[fd] as unknown as {
    on(event: "error", listener: () => void): void;
    end(data: Uint8Array): void;
  };
  // bwrap that dies early closes its end; its exit says why.
  pipe.on("error", () => {});
  pipe.end(data);
}

/** A document may hold secrets: its bytes are zeroed when they are in the pipe. */
function writeLine(child: cp.ChildProcess, document: unknown): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(document)}\n`);
  child.stdin!.write(bytes, () => bytes.fill(0));
}

/** A tmux client for the server whose socket lies in `tmuxDir`, in a throw-away cell. */
export function tmuxClient(tmuxDir: string): Tmux {
  const command = (args: readonly string[]) =>
    [
      BWRAP,
      ...tmuxClientArguments(tmuxDir),
      "--seccomp",
      "3",
      "--",
      "/usr/bin/tmux",
      // Never starts a server of its own.
      "-N",
      "-S",
      "/run/bureau/tmux/tmux.sock",
      ...args,
    ] as const;
  return new Tmux(command, undefined, [seccompHere("networkless")]);
}

export interface ServiceCell {
  /**
   * Another document for a proxy that runs.
   *
   * @throws {LauncherError} when it refuses it, ends, or doesn't answer in time
   */
  tell(document: unknown): Promise<void>;
  /** One last document, and the end of that line. */
  close(document: unknown): void;
  /** Resolves when it is gone. */
  readonly exited: Promise<void>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/**
 * Starts a proxy or relay in its cell and waits for its readiness line.
 *
 * @param document its bootstrap; may hold secrets
 * @param onReport told each line of its stdout after the first; may hold secrets
 * @throws {LauncherError} with the code and message that the process gave
 */
export async function startServiceCell(
  role: "proxy" | "relay" | "gate" | "bridge",
  runtimeDir: string,
  binds: readonly { readonly source: string; readonly dest: string }[],
  document: unknown,
  onLog: (line: string) => void,
  auditDir?: string,
  enter?: Enter,
  onReport?: (line: string) => void,
): Promise<ServiceCell> {
  const limited = waiting(enter, 5);
  const child = cp.spawn(BWRAP, [
    "--args",
    "3",
    "--seccomp",
    "4",
    ...limited.args,
    "--",
    // A crash must not write a proxy's secrets to disk, whatever limit `up` was started with.
    "/usr/bin/prlimit",
    "--core=0:0",
    "--",
    `${RUNTIME_DIR}/deno`,
    ...denoArguments(role, RUNTIME_DIR),
  ], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "pipe", "pipe", "pipe", "pipe", ...limited.stdio],
  });
  // A proxy's and a relay's network is a Unix socket.
  send(child, 4, seccompHere(role === "gate" || role === "bridge" ? "default" : "networkless"));
  send(
    child,
    3,
    encodeArguments([
      ...(auditDir === undefined ? serviceCellArguments(runtimeDir, binds, role === "gate") : [
        ...serviceCellArguments(runtimeDir, [...binds, { source: auditDir, dest: AUDIT_DIR }]),
        "--setenv",
        "DENO_AUDIT_PERMISSIONS",
        `${AUDIT_DIR}/${role}.jsonl`,
      ]),
      ...(role === "relay" ? FEW_ALLOCATIONS : []),
    ]),
  );
  const exited = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  limited.go(child).catch((thrown) => onLog(messageOf(thrown)));
  eachLine(child.stderr!, onLog);
  child.stdin!.on("error", () => {});
  writeLine(child, document);
  // What a proxy or relay is told later comes on the same line, which nobody else writes to.
  if (role !== "proxy" && role !== "relay") child.stdin!.end();
  const ready = Promise.withResolvers<string>();
  let isFirst = true;
  const told: ((answer: Record<string, unknown> | null) => void)[] = [];
  eachLine(child.stdout!, (line) => {
    if (!isFirst) {
      if (line.startsWith('{"renewed":')) return told.shift()?.(parseLine(line));
      return onReport?.(line);
    }
    isFirst = false;
    ready.resolve(line);
  });
  exited.then(() => {
    ready.resolve("");
    for (const answer of told.splice(0)) answer(null);
  });
  const tell = async (next: unknown) => {
    const answer = Promise.withResolvers<Record<string, unknown> | null>();
    told.push(answer.resolve);
    writeLine(child, next);
    const timer = setTimeout(() => answer.resolve(null), READY_MS);
    const said = await answer.promise.finally(() => clearTimeout(timer));
    if (said?.["renewed"] === true) return;
    const why = said === null ? "it does not answer" : String(said["message"]).slice(0, 500);
    throw new LauncherError("not-renewed", `Cannot give the ${role} other credentials: ${why}`);
  };
  const timer = setTimeout(() => ready.resolve("late"), READY_MS);
  const line = await ready.promise.finally(() => clearTimeout(timer));
  const body = parseLine(line);
  if (body?.["ready"] === true) {
    const close = (last: unknown) => {
      writeLine(child, last);
      child.stdin!.end();
    };
    return { exited, tell, close, kill: (signal) => void child.kill(signal) };
  }
  child.kill("SIGKILL");
  await exited;
  const error = parseErrorBody(body);
  throw new LauncherError(
    error?.code ?? `${role}-failed`,
    error?.message ??
      (line === "late"
        ? `Cannot start the ${role}: not ready within ${READY_MS / 1000} s`
        : `Cannot start the ${role}: it ended before it was ready`),
    { hint: error?.hint ?? "the launcher's log has its last words" },
  );
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : null;
  } catch {
    return null;
  }
}

/** Longest line kept: a process gone wild must not fill our memory. */
const MAX_LINE = 16_384;

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let pending = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string | Uint8Array) => {
    const lines = (pending + String(chunk)).split("\n");
    pending = lines.pop()!.slice(0, MAX_LINE);
    for (const line of lines) onLine(line.slice(0, MAX_LINE));
  });
  stream.on("error", () => {});
}
