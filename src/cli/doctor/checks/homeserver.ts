// SPDX-License-Identifier: Apache-2.0

/** The homeserver as Bureau needs it: it answers, knows our sessions, and tells quickly what is written. */
import { systemClock } from "../../../lib/clock.ts";
import { connect, createMatrixClient, MessagingError } from "../../../messaging/mod.ts";
import { readJson, readText } from "../../files.ts";
import { CliError } from "../../framework/exit.ts";
import { type Check, type Finding, pass, skipped } from "../check.ts";
import type { Operator, Subject } from "../subject.ts";
import { federation, registration, strangers } from "./registration.ts";

/** Of the Client-Server API: what it has, Bureau's calls have. */
const NEEDED_VERSION = [1, 1] as const;
/** Of an event's way to a sync: an agent's answer waits for it each time. */
const SLOW_SYNC_MS = 1_000;
/** How long one sync waits: longer than any check may take. */
const LONG_POLL_MS = 60_000;
/** Grants end, and assignments are compared, by clocks. */
const MAX_SKEW_MS = 30_000;

/** @param stopped of an embedded homeserver that does not run because no `up` does: whether that is a fault */
export function homeserverChecks(subject: Subject, stopped: "skip" | "fail"): Check[] {
  const check = (
    name: string,
    needs: readonly string[],
    guide: string,
    run: (operator: Operator, signal: AbortSignal) => Promise<Finding[]>,
  ): Check => ({
    group: "homeserver",
    name,
    needs,
    guide,
    run: async (signal) => await run(await subject.operator(), signal),
  });
  return [
    {
      group: "homeserver",
      name: "operator",
      guide: "you-are-not-the-operator-here",
      run: () => known(subject),
    },
    check(
      "homeserver.reachable",
      ["operator"],
      "the-homeserver-does-not-answer",
      async (operator, signal) => {
        try {
          return await reachable(operator, signal);
        } catch (thrown) {
          if (stopped === "fail" || !await isStopped(subject)) throw thrown;
          return [skipped("homeserver.reachable", "Bureau does not run, nor its homeserver")];
        }
      },
    ),
    check("session", ["homeserver.reachable"], "a-session-is-gone", ownSession),
    check(
      "machine-session",
      ["homeserver.reachable"],
      "a-session-is-gone",
      (operator, signal) => machineSession(subject, operator, signal),
    ),
    check(
      "registration",
      ["session"],
      "no-agent-can-be-made",
      (operator, signal) => registration(subject.call.stateDir, operator, signal),
    ),
    check("strangers", ["session"], "strangers-can-come-in", strangers),
    check("federation", ["session"], "strangers-can-come-in", federation),
    check("administration", ["session"], "no-agent-can-be-made", administration),
    check("sync", ["session"], "agents-answer-late", syncLatency),
  ];
}

/** Whether there is a session here that may be read. What is not there yet is no fault. */
async function known(subject: Subject): Promise<Finding[]> {
  const name = "operator";
  try {
    const { session } = await subject.operator();
    return [pass(name, `${session.user_id} of ${session.namespace}`)];
  } catch (thrown) {
    if (!(thrown instanceof CliError)) throw thrown;
    if (!["not-running", "no-operator", "denied"].includes(thrown.code)) throw thrown;
    const hint = thrown.hint === undefined ? "" : `: ${thrown.hint}`;
    return [skipped(name, `${thrown.message}${hint}`)];
  }
}

/** `up` makes that secret for the homeserver that comes with it. */
async function isStopped(subject: Subject): Promise<boolean> {
  if (await subject.supervisor() !== null) return false;
  return await readText(`${subject.call.stateDir}/operator/homeserver-secret`) !== null;
}

/** The newest `v1.N` (or old `rX.Y.Z`) that it names. */
export function newestVersion(versions: readonly unknown[]): readonly [number, number] | null {
  const known = versions.flatMap((text): [number, number][] => {
    const [, major, minor] = /^v(\d+)\.(\d+)$/.exec(String(text)) ?? [];
    return major === undefined ? [] : [[Number(major), Number(minor)]];
  });
  return known.sort((a, b) => b[0] - a[0] || b[1] - a[1])[0] ?? null;
}

async function reachable({ session }: Operator, signal: AbortSignal): Promise<Finding[]> {
  let skew: number | null = null;
  const timed: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) skew = Math.abs(date - systemClock.now());
    return response;
  };
  const { request } = connect({ homeserverUrl: session.homeserver_url, fetch: timed });
  const began = systemClock.now();
  const { versions } = await request<{ versions: string[] }>(
    "GET",
    "/_matrix/client/versions",
    { what: "ask the homeserver for its versions", signal },
  );
  const took = systemClock.now() - began;
  const all = [pass("homeserver.reachable", `${session.homeserver_url} answers within ${took} ms`)];
  const newest = newestVersion(Array.isArray(versions) ? versions : []);
  const [major, minor] = NEEDED_VERSION;
  const recent = newest !== null && (newest[0] > major || newest[1] >= minor);
  all.push({
    name: "homeserver.versions",
    status: recent ? "pass" : "fail",
    detail: newest === null
      ? "it names no version of the Matrix specification that Bureau knows"
      : `it speaks Matrix v${newest.join(".")}`,
    ...(recent ? {} : { hint: `Bureau needs v${NEEDED_VERSION.join(".")}: update the homeserver` }),
  });
  if (skew !== null && skew > MAX_SKEW_MS) {
    all.push({
      name: "homeserver.clock",
      status: "warn",
      detail: `its clock and this machine's are ${Math.round(skew / 1000)} s apart`,
      reason: "grants end by these clocks",
      hint: "set both by NTP: timedatectl set-ntp true",
    });
  }
  return all;
}

async function ownSession({ session, client }: Operator, signal: AbortSignal): Promise<Finding[]> {
  const { user_id } = await client.whoami(signal);
  if (user_id === session.user_id) return [pass("session", `you are ${user_id}`)];
  return [{
    name: "session",
    status: "fail",
    detail: `the session is of ${user_id}, not ${session.user_id}`,
    hint: "`deno task down`, then `deno task up`, logs in again",
  }];
}

/** The daemon's own: kept beside the operator's where `up` made both. */
async function machineSession(
  subject: Subject,
  { session }: Operator,
  signal: AbortSignal,
): Promise<Finding[]> {
  const name = "machine-session";
  const path = `${subject.call.stateDir}/operator/machine-session.json`;
  const kept = await readJson(path) as { access_token?: unknown; user_id?: unknown } | null;
  if (typeof kept?.access_token !== "string" || typeof kept.user_id !== "string") {
    return [skipped(name, "no session of a machine is kept here")];
  }
  const client = createMatrixClient({
    homeserverUrl: session.homeserver_url,
    accessToken: kept.access_token,
  });
  const hint = "`deno task down`, then `deno task up`, logs the machine in again";
  try {
    const { user_id } = await client.whoami(signal);
    if (user_id === kept.user_id) return [pass(name, `the daemon is ${user_id}`)];
    const detail = `the machine's session is of ${user_id}, not ${kept.user_id}`;
    return [{ name, status: "fail", detail, hint }];
  } catch (thrown) {
    if (!(thrown instanceof MessagingError) || thrown.status !== 401) throw thrown;
    return [{
      name,
      status: "fail",
      detail: `the homeserver knows the machine's session no more: ${kept.user_id}`,
      reason: "what is decided in rooms does not reach the agents of this machine",
      hint,
    }];
  }
}

async function administration(
  { session, client }: Operator,
  signal: AbortSignal,
): Promise<Finding[]> {
  const user = encodeURIComponent(session.user_id);
  try {
    await client.request("GET", `/_synapse/admin/v1/whois/${user}`, {
      what: "ask as the homeserver's admin",
      signal,
    });
  } catch (thrown) {
    if (!(thrown instanceof MessagingError) || ![403, 404, 405].includes(thrown.status)) {
      throw thrown;
    }
    return [{
      name: "administration",
      status: "warn",
      detail: "you are not the homeserver's admin: `machine decommission` and `revoke` put a " +
        "machine out of its rooms, and can't deactivate its account",
      hint: "have its administrator ready for that, or be made one",
    }];
  }
  return [pass("administration", "you may deactivate accounts: what `machine revoke` does first")];
}

/** From a write to the sync that tells of it, in the operator's own account data: no room sees it. */
async function syncLatency({ session, client }: Operator, signal: AbortSignal): Promise<Finding[]> {
  const nonce = crypto.randomUUID();
  const type = "m.bureau.doctor";
  const nothing = { types: [], not_types: ["*"] };
  const filter = JSON.stringify({
    presence: nothing,
    account_data: { types: [type] },
    room: { rooms: [] },
  });
  const { next_batch } = await client.sync({ filter }, signal);
  const began = systemClock.now();
  await client.request(
    "PUT",
    `/_matrix/client/v3/user/${encodeURIComponent(session.user_id)}/account_data/${type}`,
    { what: "write account data", body: { nonce }, signal },
  );
  let since = next_batch;
  while (true) {
    const answer = await client.sync(
      { filter, since, timeoutMs: LONG_POLL_MS },
      signal,
    ) as SyncAnswer;
    since = answer.next_batch;
    const seen = answer.account_data?.events?.some(({ content }) => content?.["nonce"] === nonce);
    if (seen !== true) continue;
    const took = systemClock.now() - began;
    const detail = `what is written is told by sync after ${took} ms`;
    if (took <= SLOW_SYNC_MS) return [pass("sync", detail)];
    const hint = "agents answer later by that much; look at the homeserver's load";
    return [{ name: "sync", status: "warn", detail, hint }];
  }
}

interface SyncAnswer {
  readonly next_batch: string;
  readonly account_data?: {
    readonly events?: readonly { readonly content?: Record<string, unknown> }[];
  };
}
