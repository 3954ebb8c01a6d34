// SPDX-License-Identifier: Apache-2.0

/** What this machine was told to run, whether it does, and what waits for a person. */
import * as z from "zod/mini";
import type { DaemonStatus, PrincipalView } from "../../../daemon/api.ts";
import { LauncherPolicy } from "../../../launcher/api.ts";
import { HttpApiError } from "../../../lib/http/mod.ts";
import { ago, shortName } from "../../agent/list.ts";
import { readText } from "../../files.ts";
import { daemonClient } from "../../session.ts";
import { type Check, type Finding, pass, skipped } from "../check.ts";
import type { Subject } from "../subject.ts";

export function agentChecks(subject: Subject): Check[] {
  const check = (
    name: string,
    guide: string,
    run: (status: DaemonStatus) => Promise<Finding[]> | Finding[],
  ): Check => ({
    group: "agents",
    name,
    needs: ["daemon"],
    guide,
    run: async () => await run((await subject.daemon())!),
  });
  return [
    {
      group: "agents",
      name: "policy",
      guide: "an-agent-does-not-run",
      run: () => policy(subject.call.stateDir),
    },
    check("agents", "an-agent-does-not-run", ({ principals }) => assigned(principals)),
    check("egress", "an-agent-reaches-nothing", ({ asks }) => waiting(asks)),
    check("notify", "nobody-is-told", () => targets(subject)),
  ];
}

/** The launcher's own list of what an operator may sign: without it nothing is started. */
async function policy(stateDir: string): Promise<Finding[]> {
  const name = "policy";
  const path = `${stateDir}/operator/policy.json`;
  let text: string | null;
  try {
    text = await readText(path);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.PermissionDenied)) throw thrown;
    return [skipped(name, `you may not read ${path}`)];
  }
  if (text === null) return [skipped(name, "there is none: `up` writes it at its first start")];
  const hint = "sh tasks/up --down, then sh tasks/up, writes it anew";
  try {
    const known = z.safeParse(LauncherPolicy, JSON.parse(text));
    if (known.success && known.data.operator_keys.length > 0) {
      return [pass(name, `${known.data.operator_keys.length} operators may sign what runs here`)];
    }
    const detail = known.success
      ? `${path} names no operator's key`
      : `${path} is no policy: ${known.error.issues[0]?.path.join(".")}`;
    return [{ name, status: "fail", detail, reason: "the launcher starts nothing", hint }];
  } catch {
    const detail = `${path} is no JSON`;
    return [{ name, status: "fail", detail, reason: "the launcher starts nothing", hint }];
  }
}

/** Phases in which one that shall run does. */
const WELL = new Set(["running", "starting", "exited"]);

function assigned(principals: readonly PrincipalView[]): Finding[] {
  const found = principals.flatMap((view): Finding[] => {
    const agent = shortName(view.principal);
    const about = { name: "agents.assignment", hint: view.hint ?? `bureau agent show ${agent}` };
    const said = view.message === null ? "" : `: ${view.message}`;
    if (view.desired === "running" && !WELL.has(view.phase)) {
      // It may be its own program's doing: no fault of this Bureau's.
      const detail = `${agent} is ${view.phase} for ${ago(view.since)}${said}`;
      return [{ ...about, status: "warn", detail }];
    }
    if (view.rolled_back !== undefined) {
      const detail = `${agent} runs as it was before: ${view.rolled_back}`;
      return [{ ...about, status: "warn", detail }];
    }
    if (view.health !== undefined && view.health.state === "unhealthy") {
      return [{ ...about, status: "warn", detail: `${agent} is unhealthy by its own check` }];
    }
    return [];
  });
  if (found.length > 0) return found;
  const running = principals.filter(({ phase }) => phase === "running").length;
  return [pass("agents", `${running} of ${principals.length} run, the others as they were told`)];
}

function waiting(asks: DaemonStatus["asks"]): Finding[] {
  if (asks.length === 0) return [pass("egress", "no agent waits for leave to connect")];
  return [{
    name: "egress",
    status: "warn",
    detail: `${asks.length} questions of agents, where they may connect to, wait for an answer`,
    hint: "bureau egress list",
  }];
}

async function targets(subject: Subject): Promise<Finding[]> {
  const name = "notify";
  const daemon = daemonClient(subject.call, (await subject.operator()).session);
  try {
    const answer = await daemon.call("notifyTargets", { signal: subject.call.signal });
    if (answer.targets.length === 0) {
      return [pass(name, "nobody is to be told when an agent needs a person")];
    }
    const bad = answer.targets.filter(({ last }) => last?.ok === false);
    if (bad.length === 0) return [pass(name, `${answer.targets.length} are told`)];
    return bad.map((target): Finding => ({
      name,
      status: "warn",
      detail: `${target.name} took no message, ${target.waiting} wait: ${target.last?.why ?? ""}`,
      hint: `bureau notify test ${target.name}`,
    }));
  } catch (thrown) {
    if (!(thrown instanceof HttpApiError) || thrown.status !== 403) throw thrown;
    return [skipped(name, "you have no right to see who is told")];
  } finally {
    daemon.close();
  }
}
