// SPDX-License-Identifier: Apache-2.0

/** `matrix doctor`: what Bureau needs of its homeserver, each tried; then what the rooms say. */
import * as z from "zod/mini";
import { systemClock } from "../../lib/clock.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { connect, type MatrixClient, MessagingError } from "../../messaging/mod.ts";
import { Registration } from "../boot/api.ts";
import { readJson } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { readFleet } from "../machine/fleet.ts";
import { keyProblem } from "../machine/record.ts";
import { loadSession, matrixClient, type OperatorSession } from "../session.ts";
import { examine } from "./check/check.ts";
import type * as results from "./results.ts";

export interface Diagnosis {
  /** Stable id, e.g. `homeserver.versions`. */
  readonly check: string;
  readonly severity: "ok" | "warning" | "error";
  readonly message: string;
  /** A command, or a sentence, that mends it. */
  readonly hint?: string;
  readonly fixed?: boolean;
}

interface Subject {
  readonly call: Invocation;
  readonly session: OperatorSession;
  readonly client: MatrixClient;
}

type Check = (subject: Subject) => Promise<Diagnosis[]>;

/** Of the Client-Server API: what it has, Bureau's calls have. */
const NEEDED_VERSION = [1, 1] as const;
const TIMEOUT_MS = 10_000;
/** Of an event's way to a sync: an agent's answer waits for it each time. */
const SLOW_SYNC_MS = 1_000;
/** Grants end, and assignments are compared, by clocks. */
const MAX_SKEW_MS = 30_000;

export const doctor: CommandHandler<typeof results.doctor> = async (call) => {
  const session = await loadSession(call);
  const subject = { call, session, client: matrixClient(session) };
  const all: Diagnosis[] = [];
  const add = async (name: string, check: Check) => {
    const found = await diagnose(name, () => check(subject));
    for (const one of found) say(call, one);
    all.push(...found);
    return found.every(({ severity }) => severity !== "error");
  };
  // What the later ones stand on; without it they would only say the same again.
  const up = await add("homeserver.reachable", reachable) && await add("session", ownSession);
  if (up) {
    await add("registration", registration);
    await add("administration", administration);
    await add("sync", syncLatency);
    await add("rooms", rooms);
    await add("machines", machines);
  }
  const bad = all.some(({ severity, fixed }) => severity === "error" && fixed !== true);
  return bad ? new Ended({ findings: all }, Exit.failed) : { findings: all };
};

function say(call: Invocation, { check, severity, message, hint, fixed }: Diagnosis): void {
  const word = fixed === true ? "mended" : severity;
  call.print(neutraliseLine(`${word.padEnd(8)} ${check.padEnd(20)} ${message}`));
  if (severity !== "ok" && fixed !== true && hint !== undefined) {
    call.print(neutraliseLine(`${"".padEnd(29)} ${hint}`));
  }
}

async function diagnose(check: string, act: () => Promise<Diagnosis[]>): Promise<Diagnosis[]> {
  try {
    return await act();
  } catch (thrown) {
    const hint = thrown instanceof BureauError ? thrown.hint : undefined;
    return [{
      check,
      severity: "error",
      message: messageOf(thrown),
      ...(hint === undefined ? {} : { hint }),
    }];
  }
}

/** The newest `v1.N` (or old `rX.Y.Z`) that it names. */
export function newestVersion(versions: readonly unknown[]): readonly [number, number] | null {
  const known = versions.flatMap((text): [number, number][] => {
    const [, major, minor] = /^v(\d+)\.(\d+)$/.exec(String(text)) ?? [];
    return major === undefined ? [] : [[Number(major), Number(minor)]];
  });
  return known.sort((a, b) => b[0] - a[0] || b[1] - a[1])[0] ?? null;
}

const reachable: Check = async ({ session }) => {
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
    { what: "ask the homeserver for its versions", timeoutMs: TIMEOUT_MS },
  );
  const took = systemClock.now() - began;
  const all: Diagnosis[] = [{
    check: "homeserver.reachable",
    severity: "ok",
    message: `${session.homeserver_url} answers within ${took} ms`,
  }];
  const newest = newestVersion(Array.isArray(versions) ? versions : []);
  const [major, minor] = NEEDED_VERSION;
  const recent = newest !== null && (newest[0] > major || newest[1] >= minor);
  all.push({
    check: "homeserver.versions",
    severity: recent ? "ok" : "error",
    message: newest === null
      ? "it names no version of the Matrix specification that Bureau knows"
      : `it speaks Matrix v${newest.join(".")}`,
    hint: `Bureau needs v${NEEDED_VERSION.join(".")}: update the homeserver`,
  });
  if (skew !== null && skew > MAX_SKEW_MS) {
    all.push({
      check: "homeserver.clock",
      severity: "warning",
      message: `its clock and this machine's are ${Math.round(skew / 1000)} s apart`,
      hint: "set both by NTP: grants end by these clocks",
    });
  }
  return all;
};

const ownSession: Check = async ({ session, client }) => {
  const { user_id } = await client.whoami(AbortSignal.timeout(TIMEOUT_MS));
  const own = user_id === session.user_id;
  return [{
    check: "session",
    severity: own ? "ok" : "error",
    message: own ? `you are ${user_id}` : `the session is of ${user_id}, not ${session.user_id}`,
    hint: "`deno task down`, then `deno task up`, logs in again",
  }];
};

/** Whether agents can still be made. Nothing is registered. */
const registration: Check = async ({ call, session }) => {
  const check = "registration";
  const stored = await readJson(`${call.stateDir}/operator/registration.json`);
  const known = z.safeParse(Registration, stored);
  if (!known.success) {
    const message = "no registration secret or token is stored: no agent can be made";
    return [{ check, severity: "error", message, hint: "run `deno task up`, which stores it" }];
  }
  const { request } = connect({ homeserverUrl: session.homeserver_url });
  if (known.data.kind === "shared") {
    await request("GET", "/_synapse/admin/v1/register", { what: "register by shared secret" });
    return [{ check, severity: "ok", message: "accounts are made with the shared secret" }];
  }
  const answer = await request<{ valid?: boolean }>(
    "GET",
    "/_matrix/client/v1/register/m.login.registration_token/validity",
    { what: "ask whether the registration token is valid", query: { token: known.data.value } },
  ).catch((thrown): { valid?: boolean } => {
    if (thrown instanceof MessagingError && thrown.status === 404) return {};
    throw thrown;
  });
  if (answer.valid === undefined) {
    const message = "it does not say whether the registration token is valid";
    return [{ check, severity: "warning", message, hint: "the next `agent create` will tell" }];
  }
  return [{
    check,
    severity: answer.valid ? "ok" : "error",
    message: answer.valid
      ? "accounts are made with the registration token"
      : "the registration token is not valid any more: no agent can be made",
    hint: "start again with a valid one: sh tasks/up --registration-token-file FILE",
  }];
};

const administration: Check = async ({ session, client }) => {
  const user = encodeURIComponent(session.user_id);
  try {
    await client.request("GET", `/_synapse/admin/v1/whois/${user}`, {
      what: "ask as the homeserver's admin",
    });
  } catch (thrown) {
    if (!(thrown instanceof MessagingError) || ![403, 404, 405].includes(thrown.status)) {
      throw thrown;
    }
    return [{
      check: "administration",
      severity: "warning",
      message: "you are not the homeserver's admin: `machine decommission` and `revoke` put a " +
        "machine out of its rooms, and can't deactivate its account",
      hint: "have its administrator ready for that, or be made one",
    }];
  }
  return [{
    check: "administration",
    severity: "ok",
    message: "you may deactivate accounts: what `machine revoke` does first",
  }];
};

/** From a write to the sync that tells of it, in the operator's own account data: no room sees it. */
const syncLatency: Check = async ({ session, client }) => {
  const nonce = crypto.randomUUID();
  const type = "m.bureau.doctor";
  const nothing = { types: [], not_types: ["*"] };
  const filter = JSON.stringify({
    presence: nothing,
    account_data: { types: [type] },
    room: { rooms: [] },
  });
  const { next_batch } = await client.sync({ filter });
  const began = systemClock.now();
  await client.request(
    "PUT",
    `/_matrix/client/v3/user/${encodeURIComponent(session.user_id)}/account_data/${type}`,
    { what: "write account data", body: { nonce } },
  );
  let since = next_batch;
  while (systemClock.now() - began < TIMEOUT_MS) {
    const answer = await client.sync({ filter, since, timeoutMs: TIMEOUT_MS }) as SyncAnswer;
    since = answer.next_batch;
    const seen = answer.account_data?.events?.some(({ content }) => content?.["nonce"] === nonce);
    if (seen !== true) continue;
    const took = systemClock.now() - began;
    return [{
      check: "sync",
      severity: took > SLOW_SYNC_MS ? "warning" : "ok",
      message: `what is written is told by sync after ${took} ms`,
      hint: "agents answer later by that much; look at the homeserver's load",
    }];
  }
  return [{
    check: "sync",
    severity: "error",
    message: `sync did not tell within ${TIMEOUT_MS / 1000} s of what was written`,
    hint: "look at the homeserver's log",
  }];
};

interface SyncAnswer {
  readonly next_batch: string;
  readonly account_data?: {
    readonly events?: readonly { readonly content?: Record<string, unknown> }[];
  };
}

/** What `matrix check` finds about rights and rooms, mended with --fix where that is safe. */
const rooms: Check = async ({ call, session }) => {
  const { findings, rooms } = await examine(call, session);
  if (findings.length === 0) {
    return [{
      check: "rooms",
      severity: "ok",
      message: `${rooms} rooms, nothing contradicts itself`,
    }];
  }
  return await Promise.all(findings.map(async (finding): Promise<Diagnosis> => {
    const { severity, code, room, subject, message, mend } = finding;
    const about = `${subject === room ? room : `${room} ${subject}`}: ${message}`;
    const base = { check: `rooms.${code}`, severity, message: about };
    if (call.flags["fix"] !== true || mend === undefined) {
      const hint = mend === undefined ? finding.hint : "bureau matrix doctor --fix";
      return hint === null ? base : { ...base, hint };
    }
    try {
      await mend();
      return { ...base, fixed: true };
    } catch (thrown) {
      return { ...base, hint: `it could not be mended: ${messageOf(thrown)}` };
    }
  }));
};

const machines: Check = async ({ call, session, client }) => {
  const fleet = await readFleet(client, session);
  const all: Diagnosis[] = [];
  for (const machine of fleet) {
    const waits = machine.membership === "invite" || machine.revoked !== null;
    const problem = waits ? null : await keyProblem(call, machine);
    if (problem === null) continue;
    all.push({
      check: "machines",
      severity: "error",
      message: `nothing can be sealed to "${machine.name}": ${problem}`,
      hint: `bureau machine show ${machine.name}`,
    });
  }
  if (all.length > 0) return all;
  return [{ check: "machines", severity: "ok", message: `${fleet.length} of the fleet are known` }];
};
