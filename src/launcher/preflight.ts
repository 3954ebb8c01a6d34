// SPDX-License-Identifier: Apache-2.0

/** What this machine has and lacks for sandboxes, tried rather than guessed. */
import { messageOf } from "../lib/errors.ts";
import { createLogger } from "../lib/log.ts";
import { socketBudget } from "../lib/ref/mod.ts";
import { programArguments } from "../sandbox/mod.ts";
import type { LauncherBootstrap, PreflightFinding, PreflightReport } from "./api.ts";
import { preflightLimits } from "./preflight_limits.ts";

const BWRAP = "/usr/bin/bwrap";
const TMUX = "/usr/bin/tmux";
const DEADLINE_MS = 10_000;
/** Programs a cell runs besides bwrap and tmux, with their Debian packages. */
const PROGRAMS = [
  ["/usr/bin/script", "bsdutils"],
  ["/usr/bin/prlimit", "util-linux"],
  ["/usr/bin/setpriv", "util-linux"],
] as const;

interface Ran {
  readonly code: number;
  readonly text: string;
}

async function run(program: string, args: readonly string[]): Promise<Ran | null> {
  let process: Deno.ChildProcess;
  try {
    process = new Deno.Command(program, {
      args: [...args],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
  const timer = setTimeout(() => process.kill("SIGKILL"), DEADLINE_MS);
  const { code, stdout, stderr } = await process.output().finally(() => clearTimeout(timer));
  const decoder = new TextDecoder();
  return { code, text: (decoder.decode(stdout) + decoder.decode(stderr)).trim() };
}

const ok = (check: string, message: string): PreflightFinding => ({
  check,
  severity: "ok",
  message,
});

/** @returns -1, 0 or 1 as version `a` is below, at or above `b` */
export function compareVersions(a: string, b: string): number {
  const parts = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [parts(a), parts(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** What a version and a mode of bwrap mean. @param mode of the file, with its setuid bit */
export function judgeBwrap(versionText: string | null, mode: number | null): PreflightFinding {
  const check = "bwrap.version";
  const hint = "apt-get install bubblewrap";
  if (versionText === null) {
    return { check, severity: "error", message: `bubblewrap is not installed at ${BWRAP}`, hint };
  }
  if (mode !== null && (mode & 0o4000) !== 0) {
    return {
      check: "bwrap.setuid",
      severity: "error",
      message:
        `${BWRAP} is setuid root, which lets a sandboxed program become root (CVE-2026-41163)`,
      hint: `chmod u-s ${BWRAP}`,
    };
  }
  const version = /(\d+(?:\.\d+)+)/.exec(versionText)?.[1] ?? "0";
  if (compareVersions(version, "0.8.0") < 0) {
    return {
      check,
      severity: "error",
      message:
        `bubblewrap ${version} is too old; 0.8.0 is the oldest that can forbid nested user namespaces`,
      hint: `${hint} (Debian 12 has 0.8.0)`,
    };
  }
  if (compareVersions(version, "0.12.0") < 0) {
    return {
      check,
      severity: "ok",
      message:
        `bubblewrap ${version}; CVE-2026-87766 is mitigated: nothing is mounted beneath what an agent can write`,
    };
  }
  return ok(check, `bubblewrap ${version}`);
}

/** @param findings of the machine this process runs on */
export async function preflight(bootstrap: LauncherBootstrap): Promise<PreflightReport> {
  const findings: PreflightFinding[] = [];
  const version = await run(BWRAP, ["--version"]);
  const mode = await Deno.stat(BWRAP).then((info) => info.mode, () => null);
  findings.push(judgeBwrap(version?.text ?? null, mode));
  const sandbox = version === null ? null : await tryNamespaces();
  if (sandbox !== null) findings.push(sandbox);
  // It is asked in a sandbox: where none can be made nothing is known of it.
  if (sandbox?.severity === "ok") findings.push(await judgeTmux());
  for (const [path, name] of PROGRAMS) {
    const there = await Deno.stat(path).then(() => true, () => false);
    findings.push(
      there ? ok(`program.${path.split("/").at(-1)}`, path) : {
        check: `program.${path.split("/").at(-1)}`,
        severity: "error",
        message: `${path} is not there`,
        hint: `apt-get install ${name}`,
      },
    );
  }
  findings.push(judgeRunDir(bootstrap.run_dir));
  findings.push(...await preflightLimits(bootstrap.cgroups, createLogger("launcher")));
  return { findings };
}

async function tryNamespaces(): Promise<PreflightFinding> {
  const check = "namespaces";
  // Exactly the isolation of an agent, nested as an agent is.
  const base = ["--unshare-user", "--unshare-all", ...programArguments()];
  const rest = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const inner = [
    BWRAP,
    ...base,
    "--disable-userns",
    "--cap-drop",
    "ALL",
    ...rest,
    "--",
    "/usr/bin/true",
  ];
  const tried = await run(BWRAP, [...base, ...rest, "--", ...inner]);
  if (tried?.code === 0) return ok(check, "nested user namespaces work");
  const said = tried?.text.split("\n").at(-1) ?? "";
  return {
    check,
    severity: "error",
    message: `a sandbox cannot be made here: ${said}`,
    hint: /max_\S*_namespaces|ENOSPC/.test(said)
      ? "allow more user namespaces: sysctl -w user.max_user_namespaces=15000; in a container, on its host"
      : /denied|not permitted|uid map/i.test(said)
      ? "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), or on Ubuntu 24.04 and later an AppArmor profile for bwrap (sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 for a try)"
      : "in a container, give it user namespaces and an unmasked /proc",
  };
}

async function judgeTmux(): Promise<PreflightFinding> {
  // In a cell like any other program: the launcher itself may run nothing but bwrap.
  const base = ["--unshare-user", "--unshare-all", ...programArguments()];
  const tried = await run(BWRAP, [...base, "--", TMUX, "-V"]);
  const version = /(\d+\.\d+)/.exec(tried?.text ?? "")?.[1];
  if (version === undefined || compareVersions(version, "3.2") < 0) {
    return {
      check: "tmux.version",
      severity: "error",
      message: version === undefined
        ? `tmux is not installed at ${TMUX}`
        : `tmux ${version} is older than 3.2`,
      hint: "apt-get install tmux",
    };
  }
  return ok("tmux.version", `tmux ${version}`);
}

function judgeRunDir(runDir: string): PreflightFinding {
  try {
    socketBudget(runDir);
    return ok("run-dir", runDir);
  } catch (thrown) {
    return {
      check: "run-dir",
      severity: "error",
      message: messageOf(thrown),
      hint: "choose a shorter one with --run-dir",
    };
  }
}
