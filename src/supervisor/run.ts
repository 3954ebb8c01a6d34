// SPDX-License-Identifier: Apache-2.0

/** The `up` command: foreground, detached, background, down. */
import { systemClock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { createLogger, type Logger } from "../lib/log.ts";
import { readConfigFile } from "../lib/config/mod.ts";
import { pathsOf } from "../lib/process/mod.ts";
import { socketBudget } from "../lib/ref/mod.ts";
import type { SupervisorStatus } from "./api.ts";
import { Commands } from "./commands.ts";
import { DevBox } from "./devbox.ts";
import { SupervisorError } from "./errors.ts";
import { parseOptions, type UpOptions, USAGE } from "./options.ts";
import { currentStatus, requestDown } from "./current.ts";
import { describeFindings } from "./preflight.ts";
import { takeSeat } from "./seat.ts";
import { afterSuccession } from "./update/succeeded.ts";
import { AskedUpgrades } from "./update/asked.ts";
import { handOver } from "./update/handover.ts";
import { Upgrader } from "./update/upgrader.ts";

/** How long a detached start may take before its parent gives up waiting. */
const DETACHED_DEADLINE_MS = 120_000;
/** How often a parent looks at its detached child: there is no event before its socket exists. */
const DETACHED_POLL_MS = 50;

/** @returns the exit status */
export async function runUp(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args, readConfigFile);
    if (options.help) {
      console.log(USAGE.trimEnd());
      return 0;
    }
    socketBudget(options.runDir);
    switch (options.mode) {
      case "down":
        return await down(options);
      case "detach":
        return await detach(options, args);
      case "foreground":
      case "background":
        return await supervise(options, args);
    }
  } catch (thrown) {
    console.error(`error: ${messageOf(thrown)}`);
    if (thrown instanceof BureauError && thrown.hint !== undefined) {
      console.error(`hint: ${thrown.hint}`);
    }
    return thrown instanceof BureauError && thrown.code === "usage" ? 2 : 1;
  }
}

async function refuseSecond(options: UpOptions): Promise<void> {
  const running = await currentStatus(options);
  if (running === null) return;
  throw new SupervisorError(
    "already-running",
    `Cannot start: Bureau already runs here (supervisor pid ${running.pid}, state in "${running.state_dir}")`,
    {
      hint:
        "`deno task status` shows it, `deno task down` stops it, --state-dir and --run-dir start another one",
    },
  );
}

async function supervise(options: UpOptions, args: readonly string[]): Promise<number> {
  Deno.umask(0o077);
  await refuseSecond(options);
  const background = options.mode === "background";
  const log = fileLogger(options);
  const box = new DevBox(options, machineName(Deno.hostname()), log);
  const ended = Promise.withResolvers<void>();
  const say = (line: string) => background ? undefined : console.log(line);
  await box.prepare();
  if (box.note !== null) say(`note: ${box.note}`);
  let stopping = false;
  let succeeded = false;
  const end = () => {
    stopping = true;
    upgrader.end();
    ended.resolve();
  };
  const seat = takeSeat(options, {
    box,
    args,
    log,
    upgrade: (request) => upgrader.begin(request),
    down: end,
  });
  const upgrader = new Upgrader({
    box,
    paths: pathsOf(options),
    distDir: options.distDir,
    log,
    handOver: async (digest, dir) => {
      const pid = await handOver(seat, digest, dir);
      say(`upgraded to ${digest}; the supervisor is pid ${pid} now`);
      succeeded = true;
      ended.resolve();
    },
  });
  await upgrader.open();
  box.releases = () => upgrader.status;
  await seat.listen();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, end);
  }
  let status = 0;
  const { daemonSocket, policy: policyPath } = pathsOf(options);
  const asked = new AskedUpgrades({
    ...{ daemonSocket, policyPath, upgrader, log, clock: systemClock },
    token: box.token,
    machine: () => box.machine,
  });
  const over = new AbortController();
  ended.promise.then(() => over.abort());
  try {
    await bringUp(box, say, ended.promise);
    if (options.release !== null) upgrader.succeed(options.release);
    asked.run(over.signal);
    const view = background ? null : showAgent(box, ended.promise);
    await ended.promise;
    await upgrader.settled();
    await view?.done;
  } catch (thrown) {
    status = 1;
    if (!background) throw thrown;
    // A detached parent reads the failure from our status before it lets us go.
    await ended.promise;
  } finally {
    if (!succeeded) {
      say("stopping…");
      await box.stop();
      await seat.leave();
      say("stopped; `deno task up` resumes");
    }
  }
  if (succeeded) await afterSuccession({ options, box, background, stopping: () => stopping });
  return status;
}

async function bringUp(
  box: DevBox,
  say: (line: string) => void,
  ended: Promise<void>,
): Promise<void> {
  const { findings } = await box.preflight();
  const lines = describeFindings(findings);
  const fatal = findings.some((finding) => finding.severity === "error");
  if (lines.length > 0) say(["this machine:", ...lines].join("\n"));
  if (fatal) {
    throw box.fail(
      new SupervisorError("preflight", "Cannot start: this machine lacks what is marked missing", {
        hint: `mend it and start again:\n${lines.join("\n")}`,
      }),
    );
  }
  const interrupted = ended.then(() => "interrupted" as const);
  const started = box.start((step) => say(`starting ${step}`));
  started.catch(() => {});
  await Promise.race([started, interrupted]);
  // An interrupted start is finished first, then taken down: half a start has no order to undo.
  await started;
}

/** Prints what a person needs next, and follows the agent's room until the end. */
function showAgent(
  box: DevBox,
  ended: Promise<void>,
): { done: Promise<void> } | null {
  console.log(summary(box.status));
  return box.status.agent === null ? null : box.followRoom(box.status.agent, ended);
}

/** What runs and every command worth pasting. */
export function summary(status: SupervisorStatus): string {
  const directories = ["--state-dir", status.state_dir, "--run-dir", status.run_dir];
  const bureau = (command: string) =>
    `sh tasks/bureau ${command} ${directories.map(quoteWord).join(" ")}`;
  const lines = [
    "",
    `Bureau is up. Homeserver ${status.homeserver_url}, state in ${status.state_dir}.`,
    `  status      ${bureau("status")}`,
    `  browser     ${bureau("web")}`,
    `  Element     ${bureau("matrix account")}   (its address, and the login)`,
  ];
  if (status.agent !== null) {
    lines.push(
      `The example agent ${status.agent} works in its room:`,
      `  read        ${bureau(`matrix messages ${status.agent}`)}`,
      `  talk        ${bureau(`matrix send ${status.agent} "report README.md"`)}`,
      `  watch       ${bureau(`observe ${status.agent}`)}   (ctrl-] d leaves)`,
      `  remove      ${bureau(`agent destroy ${status.agent}`)}`,
    );
  }
  lines.push(
    `  stop all    sh tasks/up --down ${directories.map(quoteWord).join(" ")}`,
    "",
  );
  return lines.join("\n");
}

/** One word of a POSIX shell command. */
function quoteWord(word: string): string {
  return /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

async function detach(options: UpOptions, args: readonly string[]): Promise<number> {
  await refuseSecond(options);
  const child = new Commands(options)
    .spawnBackground([...args.filter((argument) => argument !== "--detach"), "--background"]);
  const exited = child.status.then((status) => status);
  const deadline = systemClock.now() + DETACHED_DEADLINE_MS;
  while (systemClock.now() < deadline) {
    const status = await currentStatus(options);
    if (status?.state === "ready") {
      child.unref();
      console.log(summary(status));
      return 0;
    }
    if (status?.state === "failed") {
      await requestDown(options);
      await exited;
      throw new SupervisorError("start-failed", status.message ?? "Cannot start Bureau", {
        ...(status.hint === null ? {} : { hint: status.hint }),
      });
    }
    const gone = await Promise.race([
      exited.then((status) => status.code),
      systemClock.sleep(DETACHED_POLL_MS).then(() => null),
    ]);
    if (gone !== null) {
      const said = (await new Response(child.stderr).text()).trim();
      console.error(said === "" ? `error: Cannot start: it ended with status ${gone}` : said);
      return 1;
    }
  }
  await requestDown(options);
  throw new SupervisorError("start-late", "Cannot start: it took too long", {
    hint: `read the logs in ${pathsOf(options).logs}`,
  });
}

async function down(options: UpOptions): Promise<number> {
  const running = await currentStatus(options);
  if (running !== null) {
    await requestDown(options);
    while (await currentStatus(options) !== null) await systemClock.sleep(DETACHED_POLL_MS);
    console.log("stopped; `deno task up` resumes");
    return 0;
  }
  // Nobody answers there: the file says to others that somebody does.
  await Deno.remove(pathsOf(options).upSocket).catch(() => {});
  // A killed supervisor takes its processes along, but agents outlive it by design.
  const box = new DevBox(options, machineName(Deno.hostname()), createLogger("up"));
  if (!await box.hasLeftovers()) {
    console.log("Bureau is not running");
    return 0;
  }
  Deno.umask(0o077);
  await box.prepare();
  const count = await box.stopLeftovers();
  console.log(`stopped ${count} agent${count === 1 ? "" : "s"} that outlived the supervisor`);
  return 0;
}

/** Our own log goes to a file: the terminal belongs to the person. */
function fileLogger(options: UpOptions): Logger {
  const path = `${pathsOf(options).logs}/up.log`;
  return createLogger("up", {}, (line) => {
    try {
      Deno.writeTextFileSync(path, line + "\n", { append: true, mode: 0o600 });
    } catch {
      // A full disk must not end the supervisor that would tell about it.
    }
  });
}

/** A host name as one segment of a localpart. */
export function machineName(hostname: string): string {
  const name = hostname.toLowerCase().split(".")[0]!.replace(/[^a-z0-9_=-]/g, "-").slice(0, 32);
  return name.replace(/^[^a-z0-9]+/, "") || "machine";
}
