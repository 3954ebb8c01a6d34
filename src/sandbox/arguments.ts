// SPDX-License-Identifier: Apache-2.0

/** Plans as bwrap argument vectors. They travel by descriptor (`--args`), never in argv. */
import { CELL_DIR, contractArguments } from "./contract.ts";
import { BOUND_FILE, GUARD_FILE } from "./guard.ts";
import { countsHealth, STARTS_HEALTH } from "./health.ts";
import {
  deviceArguments,
  environmentArguments,
  etcArguments,
  mountArguments,
  sourceArguments,
  startDirectory,
  sysrootArguments,
  tmpfs,
} from "./mounts.ts";
import { hostTreeArguments, passthroughArguments } from "./passthrough.ts";
import type { SandboxPlan } from "./plan_parts.ts";
import { serviceBinds, serviceCellBinds } from "./services.ts";
import { quoteWord } from "./words.ts";

/** In a cell: the filter of the agent's sandbox, as bwrap's `--seccomp` reads it. */
export const SECCOMP_FILE = "seccomp.bpf";

export const RUNTIME_DIR = "/opt/bureau";
/** Inside a cell everybody is this user; outside it is whoever the launcher runs as. */
const UID = "1000";
/** Open files in one process, where a template doesn't say. */
export const DEFAULT_FILES = 4096;
/** Shared memory of a sandbox: 64 MiB. */
const SHM_BYTES = 64 * 1024 * 1024;

/** Host directories of one principal. */
export interface PrincipalDirectories {
  readonly agent: string;
  readonly admin: string;
  readonly egress: string;
  readonly tmux: string;
  readonly observe: string;
  readonly cell: string;
  readonly listen: string;
  readonly service: string;
}

/** Every namespace, no capability even for a root caller, a session of its own, nothing of our environment. */
function isolation(nested: "may-nest" | "no-nesting"): string[] {
  return [
    "--unshare-user",
    "--unshare-all",
    ...(nested === "no-nesting" ? ["--disable-userns", "--cap-drop", "ALL"] : []),
    "--uid",
    UID,
    "--gid",
    UID,
    "--clearenv",
  ];
}

/**
 * In a `/usr` that Nix made, a link to the store that its programs are links into (`deploy/nix/usr.nix`). No other
 * system has it.
 */
const STORE_OF_USR = "/usr/nix/store";

/** The host's programs, read-only. A link such as /bin → usr/bin is bound as what it leads to. */
export function programArguments(): string[] {
  return [
    "--ro-bind",
    "/usr",
    "/usr",
    ...["/bin", "/sbin", "/lib", "/lib64"].flatMap((path) => ["--ro-bind-try", path, path]),
    "--ro-bind-try",
    STORE_OF_USR,
    "/nix/store",
  ];
}

/** The kernel's own trees. @param devices words that bind more into /dev */
function kernel(devices: readonly string[] = []): string[] {
  return [
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    // bwrap's /dev is a tmpfs of its own without a limit: a sandbox could fill the machine's memory there.
    ...tmpfs("/dev/shm", SHM_BYTES),
    ...devices,
    "--remount-ro",
    "/dev",
  ];
}

function system(): string[] {
  return [...programArguments(), ...kernel()];
}

/** The cell of a principal's tmux server: everything the nested sandbox binds, at constant paths. */
export function tmuxCellArguments(plan: SandboxPlan, dirs: PrincipalDirectories): string[] {
  const passthrough = plan.isolation === "none";
  return [
    // bwrap for the agent is started in here, so user namespaces stay possible; it holds no secret.
    ...(passthrough ? hostTreeArguments(plan) : [...isolation("may-nest"), ...system()]),
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--setenv",
    "TERM",
    "screen-256color",
    "--setenv",
    "LANG",
    "C.UTF-8",
    ...(passthrough ? [] : tmpfs("/tmp", 1024 * 1024)),
    "--bind",
    dirs.tmux,
    "/run/bureau/tmux",
    "--ro-bind",
    dirs.agent,
    "/run/bureau/agent",
    "--ro-bind",
    dirs.cell,
    CELL_DIR,
    ...serviceCellBinds(plan.services, dirs),
    ...(passthrough ? [] : [...sourceArguments(plan), "--hostname", "bureau"]),
    "--chdir",
    "/",
  ];
}

/** The agent's own sandbox, nested in its tmux cell. @param files further ones in its contract directory */
export function agentArguments(plan: SandboxPlan, files: readonly string[] = []): string[] {
  if (plan.isolation === "none") return passthroughArguments(plan, contractArguments(files));
  return [
    ...isolation("no-nesting"),
    // No controlling terminal of the pane: TIOCSTI and the pane's signals stay outside; `script` makes a new one.
    "--new-session",
    "--die-with-parent",
    ...(plan.seccomp === null ? [] : ["--seccomp", "4"]),
    ...(plan.sysroot.kind === "host" ? programArguments() : sysrootArguments(plan)),
    ...kernel(deviceArguments(plan)),
    ...etcArguments(plan, `${CELL_DIR}/etc`),
    ...contractArguments(files),
    ...serviceBinds(plan.services),
    ...mountArguments(plan),
    "--remount-ro",
    "/",
    "--hostname",
    plan.hostname,
    "--chdir",
    startDirectory(plan),
    ...environmentArguments(plan),
  ];
}

/**
 * A throw-away cell for one tmux client. A tmux server can have its clients read and write files
 * (`load-buffer` behind an alias), and the server's cell is not trusted: the client sees nothing but
 * the server's socket.
 *
 * @param tmuxDir host directory of the socket
 */
export function tmuxClientArguments(tmuxDir: string): string[] {
  return throwAwayArguments(["--bind", tmuxDir, "/run/bureau/tmux"], {
    TERM: "screen-256color",
    LANG: "C.UTF-8",
  });
}

/**
 * A throw-away cell in which the launcher looks at what its own permissions don't reach.
 *
 * @param sources host paths; they appear below /host, read-only
 */
export function lookCellArguments(sources: readonly string[]): string[] {
  const binds = [...new Set(sources)].toSorted().flatMap((path) => [
    "--ro-bind-try",
    path,
    `/host${path === "/" ? "" : path}`,
  ]);
  return throwAwayArguments(binds, { LC_ALL: "C.UTF-8" });
}

/** For one program of ours: the host's programs and what is bound, nothing to write to. */
function throwAwayArguments(
  binds: readonly string[],
  environment: Readonly<Record<string, string>>,
): string[] {
  return [
    ...isolation("no-nesting"),
    "--new-session",
    "--die-with-parent",
    ...system(),
    ...binds,
    "--remount-ro",
    "/",
    "--chdir",
    "/",
    ...Object.entries({ PATH: "/usr/bin:/bin", ...environment })
      .flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/** How this machine finds addresses. */
const RESOLVER = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"];

/**
 * For a service cell of which there are many and whose process allocates little: one place for all threads
 * to allocate from, 1.5 MB less than one for each.
 */
export const FEW_ALLOCATIONS: readonly string[] = ["--setenv", "MALLOC_ARENA_MAX", "1"];

/** A cell for one of Bureau's own processes: no network unless asked for, the runtime, and the named directories. */
export function serviceCellArguments(
  runtimeDir: string,
  binds: readonly { readonly source: string; readonly dest: string }[],
  network = false,
): string[] {
  return [
    ...isolation("no-nesting"),
    ...(network ? ["--share-net"] : []),
    "--new-session",
    "--die-with-parent",
    ...system(),
    ...(network ? RESOLVER.flatMap((path) => ["--ro-bind-try", path, path]) : []),
    "--ro-bind",
    runtimeDir,
    RUNTIME_DIR,
    ...tmpfs("/tmp", 16 * 1024 * 1024),
    ...binds.flatMap(({ source, dest }) => ["--bind", source, dest]),
    "--hostname",
    "bureau",
    "--chdir",
    "/",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--setenv",
    "HOME",
    "/tmp",
    "--setenv",
    "DENO_DIR",
    "/tmp/deno",
    "--setenv",
    "NO_COLOR",
    "1",
    "--setenv",
    "DENO_NO_UPDATE_CHECK",
    "1",
    "--setenv",
    "TERM",
    "xterm-256color",
    "--setenv",
    "LANG",
    "C.UTF-8",
  ];
}

/** The bytes that bwrap reads from its `--args` descriptor. */
export function encodeArguments(args: readonly string[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(args.map((arg) => `${arg}\0`).join(""));
}

/** Written by the pane when the sandbox has ended: its status, in the directory of the tmux socket. */
export const EXIT_FILE = "exit";

const FILTER = `${CELL_DIR}/${SECCOMP_FILE}`;

/** Reads a check of `guard.ts`, where there is one. */
function sourced(file: string, then: ";" | "&&" = ";"): string {
  return then === ";" ? `[ ! -e ${file} ] || . ${file}; ` : `{ [ ! -e ${file} ] || . ${file}; } &&`;
}

/**
 * The line of a shell that makes the agent's sandbox in its cell: limits by prlimit, then bwrap.
 *
 * @param terminal with `script`, for a terminal and exit status of its own; else the caller's pipes
 * @param health what the sandbox's first shell does before it becomes the agent
 */
export function sandboxLine(
  command: readonly string[],
  pids: number,
  terminal: "terminal" | "pipes" = "terminal",
  files = DEFAULT_FILES,
  health = "",
): string {
  // bwrap's --chdir sets PWD, which the template didn't name.
  const inner = quoteWord(
    `unset PWD OLDPWD; ${sourced(`/run/bureau/contract/${GUARD_FILE}`)}${health}exec ${
      command.map(quoteWord).join(" ")
    }`,
  );
  // Since Linux 5.14 counted within the cell's user namespace: a fork bomb in one agent takes nothing from
  // another, though both are the same user. Less than a shell needs would only make a start that fails.
  const nproc = Math.max(16, Math.floor(pids));
  const nofile = Math.max(64, Math.floor(files));
  const program = terminal === "terminal"
    ? `/usr/bin/script --quiet --return --command ${inner} /dev/null`
    : `/bin/sh -c ${inner}`;
  return [
    `${sourced(`${CELL_DIR}/${BOUND_FILE}`, "&&")} \\`,
    // bwrap reads it and closes it; a passthrough has none.
    `{ [ ! -e ${FILTER} ] || exec 4<${FILTER}; } && \\`,
    `/usr/bin/prlimit --core=0 --nofile=${nofile}:${nofile} --nproc=${nproc} -- \\`,
    `  /usr/bin/bwrap --args 3 -- \\`,
    `  ${program} 3<${CELL_DIR}/nested.args`,
  ].join("\n");
}

/**
 * What the pane runs: the sandbox, and then how it ended. It tells of the end itself: tmux 3.3a sometimes
 * sleeps through a SIGCHLD until its next event.
 */
export function startScript(
  command: readonly string[],
  died: string,
  pids: number,
  files?: number,
  hasHealth = false,
): string {
  const tmux = "/run/bureau/tmux";
  return [
    "#!/bin/sh",
    ...(hasHealth ? [countsHealth(tmux)] : []),
    sandboxLine(command, pids, "terminal", files, hasHealth ? STARTS_HEALTH : ""),
    `echo $? >${tmux}/${EXIT_FILE}.new`,
    ...(hasHealth ? [`kill -KILL "$counter"`] : []),
    `mv ${tmux}/${EXIT_FILE}.new ${tmux}/${EXIT_FILE}`,
    `exec /usr/bin/tmux -N -S ${tmux}/tmux.sock wait-for -S ${died}`,
    "",
  ].join("\n");
}
