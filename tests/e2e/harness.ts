// SPDX-License-Identifier: Apache-2.0

/**
 * A whole Bureau of its own for a test: temporary state and run directories, free ports, started by
 * `tasks/up` as a person would, driven by `tasks/bureau`, and checked to leave nothing behind.
 */
import assert from "node:assert/strict";
import { assertAsPromised } from "./schemas.ts";

export const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const decoder = new TextDecoder();

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Bureau {
  readonly stateDir: string;
  readonly runDir: string;
  readonly repo: string;
  readonly ports: { readonly homeserver: number; readonly authority: number };
  readonly homeserver: {
    readonly url: string;
    readonly serverName: string;
    /** What `up` registers its accounts with; null for the embedded one. */
    readonly tokenFile: string | null;
  };
  /** A new account at its homeserver, of somebody who is no part of it. */
  stranger(name: string): Promise<{ readonly id: string; readonly token: string }>;
  /** `sh tasks/up …` with this Bureau's directories and ports. */
  up(...args: string[]): Promise<Finished>;
  /** The same without waiting: foreground mode. */
  spawnUp(...args: string[]): Deno.ChildProcess;
  down(): Promise<Finished>;
  /** `sh tasks/bureau …`. */
  cli(...args: string[]): Promise<Finished>;
  /** `sh tasks/bureau … --json`, parsed; fails the test when the command fails. */
  json<T>(...args: string[]): Promise<T>;
}

/**
 * A port that was free a moment ago, below the range that the kernel gives out by itself: nobody's
 * outgoing connection takes it meanwhile, and two tests at once rarely draw the same.
 */
export function freePort(): number {
  while (true) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.AddrInUse)) throw thrown;
    }
  }
}

/** Runs a program to its end. */
export async function run(program: string, args: string[], cwd = ROOT): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd, stdin: "null" })
    .output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A small repository with a known history, for reports that can be checked by hand. */
export async function makeRepository(dir: string): Promise<void> {
  const git = async (...args: string[]) => {
    const done = await new Deno.Command("git", {
      args: ["-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", ...args],
      env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
      stdin: "null",
    }).output();
    assert.ok(done.success, decoder.decode(done.stderr));
  };
  await Deno.mkdir(`${dir}/src`, { recursive: true });
  await git("init", "--quiet", "--initial-branch=main");
  await Deno.writeTextFile(`${dir}/README.md`, "# Example\n\nTwo lines.\n");
  await Deno.writeTextFile(`${dir}/src/a.ts`, "export const a = 1;\n");
  await git("add", ".");
  await git("commit", "--quiet", "-m", "first");
  await Deno.writeTextFile(`${dir}/src/a.ts`, "export const a = 2;\nexport const b = 3;\n");
  await git("commit", "--quiet", "-a", "-m", "second");
}

/** Polls `check` until it returns something; the message of the last failure is the test's. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown = "never true";
  while (Date.now() < deadline) {
    try {
      const value = await check();
      if (value) return value;
    } catch (thrown) {
      last = thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${timeoutMs} ms (${last})`);
}

/**
 * Whether a process is of this Bureau: its command line or its mounts name one of the directories. A
 * cell's command line holds constant paths only; what is bound into it tells.
 */
async function isOf(pid: number, needles: readonly string[]): Promise<boolean> {
  for (const file of ["cmdline", "mountinfo"]) {
    const text = await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
    if (needles.some((needle) => text.includes(needle))) return true;
  }
  return false;
}

/** Pids of every process of this Bureau, inside its cells too. */
export async function processesOf(bureau: Bureau): Promise<number[]> {
  const pids: number[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name) || Number(entry.name) === Deno.pid) continue;
    const pid = Number(entry.name);
    if (await isOf(pid, [`${bureau.runDir}/`, `${bureau.stateDir}/`])) pids.push(pid);
  }
  return pids.sort((a, b) => a - b);
}

/** The full command line of a pid, or "". */
export async function commandLine(pid: number): Promise<string> {
  return (await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")).replaceAll("\0", " ");
}

/** A process of this Bureau of which `test` holds for the command line (words joined by blanks). */
export async function findProcess(
  bureau: Bureau,
  test: (commandLine: string) => boolean,
): Promise<number | null> {
  for (const pid of await processesOf(bureau)) {
    if (test(await commandLine(pid))) return pid;
  }
  return null;
}

const SCRIBE_LINE = /^\/bin\/sh \/opt\/agent\/scribe /;

/** The example agent's own first process: its listener is a fork of it, of the same command line. */
export async function agentPid(bureau: Bureau): Promise<number> {
  return await eventually("the agent runs", async () => {
    for (const pid of await processesOf(bureau)) {
      if (!SCRIBE_LINE.test(await commandLine(pid))) continue;
      const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
      const parent = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
      if (!SCRIBE_LINE.test(await commandLine(parent))) return pid;
    }
    return null;
  });
}

/**
 * Whether the Bureaus of this run have the homeserver that comes with them. `BUREAU_TEST_HOMESERVER` gives each of them
 * another one: tests/homeserver/provider.ts.
 */
export const EMBEDDED = ["", "embedded"].includes(Deno.env.get("BUREAU_TEST_HOMESERVER") ?? "");

/** Not shown by `deno test --quiet`, which tasks/test runs: a test says with `skip()` why it skips. */
function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}

export { skip } from "../../src/lib/testing/skip.ts";

/** For `Deno.test({ignore})` of what is about the embedded homeserver itself. */
export function embeddedOnly(name: string): { name: string; ignore: boolean } {
  return EMBEDDED
    ? { name, ignore: false }
    : { name: `${name} (skipped: it is about the embedded homeserver)`, ignore: true };
}

/**
 * Runs `use` with a Bureau that is not started yet, and checks afterwards that nothing is left.
 * @throws Error when the homeserver that was asked for can't be had
 */
export async function withBureau(use: (bureau: Bureau) => Promise<void>): Promise<void> {
  if (EMBEDDED) return await runBureau(use, null);
  const { openHomeserver } = await import("../homeserver/provider.ts");
  const homeserver = await openHomeserver();
  if ("reason" in homeserver) {
    throw new Error(`Cannot have the homeserver of BUREAU_TEST_HOMESERVER: ${homeserver.reason}`);
  }
  try {
    await runBureau(use, homeserver);
  } finally {
    await homeserver.close();
  }
}

interface OtherHomeserver {
  readonly url: string;
  readonly serverName: string;
  readonly registrationToken: string;
}

async function runBureau(
  use: (bureau: Bureau) => Promise<void>,
  other: OtherHomeserver | null,
): Promise<void> {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  // Root's processes run under users of their own, which must be able to pass.
  await Deno.chmod(base, 0o711);
  const stateDir = `${base}/s`;
  const runDir = `${base}/r`;
  const repo = `${base}/repo`;
  await makeRepository(repo);
  const ports = { homeserver: freePort(), authority: freePort() };
  const directories = ["--state-dir", stateDir, "--run-dir", runDir];
  const tokenFile = `${base}/registration-token`;
  if (other !== null) await Deno.writeTextFile(tokenFile, other.registrationToken);
  // A machine that joined has its homeserver from its boot file.
  const isMember = (args: string[]) => {
    if (args.includes("--join")) return true;
    try {
      return Deno.statSync(`${stateDir}/operator/joined.json`).isFile;
    } catch {
      return false;
    }
  };
  const elsewhere = (args: string[]) =>
    other === null || args.includes("--homeserver") || isMember(args)
      ? []
      : ["--homeserver", other.url, "--registration-token-file", tokenFile];
  const upArguments = (args: string[]) => [
    "tasks/up",
    "--repo",
    repo,
    "--listen",
    `127.0.0.1:${ports.homeserver}`,
    "--authority",
    `127.0.0.1:${ports.authority}`,
    ...directories,
    ...elsewhere(args),
    ...args,
  ];
  const bureau: Bureau = {
    stateDir,
    runDir,
    repo,
    ports,
    homeserver: {
      url: other?.url ?? `http://127.0.0.1:${ports.homeserver}`,
      serverName: other?.serverName ?? "bureau.local",
      tokenFile: other === null ? null : tokenFile,
    },
    stranger: async (name) => {
      const { registerWithSecret, registerWithToken } = await import(
        "../homeserver/registration.ts"
      );
      if (other !== null) return await registerWithToken(other.url, name, other.registrationToken);
      const secret = await Deno.readTextFile(`${stateDir}/operator/homeserver-secret`);
      return await registerWithSecret(bureau.homeserver.url, name, secret.trim(), false);
    },
    up: (...args) => run("sh", upArguments(args)),
    spawnUp: (...args) =>
      new Deno.Command("sh", {
        args: upArguments(args),
        cwd: ROOT,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    down: () => run("sh", ["tasks/up", "--down", ...directories]),
    cli: (...args) => run("sh", ["tasks/bureau", ...args, ...directories]),
    async json<T>(...args: string[]): Promise<T> {
      const done = await run("sh", ["tasks/bureau", ...args, "--json", ...directories]);
      assert.equal(done.code, 0, `bureau ${args.join(" ")}: ${done.stdout}${done.stderr}`);
      const given = JSON.parse(done.stdout);
      await assertAsPromised(args, given);
      return given as T;
    },
  };
  const failures: unknown[] = [];
  const attempt = async (act: () => Promise<void>) => {
    try {
      await act();
    } catch (thrown) {
      failures.push(thrown);
    }
  };
  await attempt(() => use(bureau));
  if (failures.length > 0) await showLogs(bureau);
  const { stdout, stderr } = await bureau.down();
  await attempt(async () => {
    await assertNothingLeft(bureau);
    await Deno.remove(base, { recursive: true });
  });
  if (failures.length === 0) return;
  say(`--- down\n${stdout}${stderr}`);
  // What is left over after a failure is seldom the reason for it.
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join("\n\n"));
  throw failures[0];
}

/** A step whose failure shows the processes' own words, which a step's failure alone would not. */
export async function step(
  t: Deno.TestContext,
  bureau: Bureau,
  name: string,
  act: () => Promise<void> | void,
): Promise<void> {
  await t.step(name, async () => {
    try {
      await act();
    } catch (thrown) {
      await showLogs(bureau);
      throw thrown;
    }
  });
}

/** A failed test without the processes' own words helps nobody. */
async function showLogs(bureau: Bureau): Promise<void> {
  for (const name of ["up", "homeserver", "launcher", "daemon", "web", "authority"]) {
    const text = await Deno.readTextFile(`${bureau.stateDir}/logs/${name}.log`).catch(() => "");
    const lines = text.trim().split("\n").slice(-25).join("\n");
    if (lines !== "") say(`--- ${name}.log\n${lines}`);
  }
}

async function assertNothingLeft(bureau: Bureau): Promise<void> {
  await eventually("every process is gone", async () => {
    const left = await processesOf(bureau);
    if (left.length === 0) return true;
    throw new Error((await Promise.all(left.map(commandLine))).join("\n"));
  }, 10_000);
  // Written while there are control groups of ours, and removed with the last of them.
  const record = await Deno.readTextFile(`${bureau.runDir}/cgroups`).catch(() => null);
  assert.equal(record, null, "control groups are left");
  const mounts = await Deno.readTextFile("/proc/self/mounts");
  assert.ok(!mounts.includes(bureau.runDir), "a mount is left");
  const principals: string[] = [];
  for await (const entry of Deno.readDir(`${bureau.runDir}/p`)) principals.push(entry.name);
  assert.deepEqual(principals, [], "directories of principals are left");
}
