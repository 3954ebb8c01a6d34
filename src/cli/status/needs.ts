// SPDX-License-Identifier: Apache-2.0

/** What is not well, and what waits for a person: each with what to do next. */
import { authorityOf } from "../../lib/authority.ts";
import { BureauError } from "../../lib/errors.ts";
import { ago, shortName } from "../agent/list.ts";
import type { Snapshot } from "./gather.ts";

export interface Need {
  /** `bad`: something does not work; `waits`: somebody waits for an answer; `soon`: it will be bad. */
  readonly kind: "bad" | "waits" | "soon";
  /** What it is about: a process, a principal, a machine. */
  readonly subject: string;
  readonly message: string;
  /** A command, or a sentence. */
  readonly next: string;
}

/** Warned of so long before its end; `credential list` has the same. */
const SOON_MS = 7 * 86_400_000;
/** A machine with nothing new says so every five minutes (`SILENCE_MS` of the heartbeat): three times missed. */
const UNSEEN_MS = 15 * 60_000;

/** The worst first. */
export function needsOf(snapshot: Snapshot): Need[] {
  const all = [
    ...ofProcesses(snapshot),
    ...ofHomeserver(snapshot),
    ...ofDaemon(snapshot),
    ...ofPrincipals(snapshot),
    ...ofQuestions(snapshot),
    ...ofCredentials(snapshot),
    ...ofMachines(snapshot),
    ...ofUnread(snapshot),
  ];
  const order = { bad: 0, waits: 1, soon: 2 } as const;
  return all.sort((a, b) => order[a.kind] - order[b.kind]);
}

function ofProcesses({ supervisor }: Snapshot): Need[] {
  if (supervisor === null) return [];
  const failed: Need[] = supervisor.state !== "failed" ? [] : [{
    kind: "bad",
    subject: "bureau",
    message: supervisor.message ?? "it could not start",
    next: supervisor.hint ?? `read ${supervisor.state_dir}/logs/up.log`,
  }];
  return failed.concat(
    supervisor.processes.filter(({ state }) => state === "failed" || state === "restarting")
      .map(({ name, state, message }) => ({
        kind: "bad" as const,
        subject: name,
        message: message === null ? state : `${state}: ${message}`,
        next: `read ${supervisor.state_dir}/logs/${name}.log`,
      })),
  );
}

function ofHomeserver({ homeserver }: Snapshot): Need[] {
  if (homeserver === null || homeserver.reachable) return [];
  return [{
    kind: "bad",
    subject: "homeserver",
    message: homeserver.message ?? "it does not answer",
    next: "agents go on, and are heard when it is back; see `bureau matrix doctor`",
  }];
}

function ofDaemon({ daemon, supervisor }: Snapshot): Need[] {
  const bad = (subject: string, message: string, next: string): Need[] => [
    { kind: "bad", subject, message, next },
  ];
  if (daemon instanceof BureauError) {
    return bad("daemon", daemon.message, daemon.hint ?? "see `bureau doctor`");
  }
  if (daemon === null) {
    // Nothing runs that could have one, or it is not there yet.
    if (supervisor === null || supervisor.state !== "ready") return [];
    return bad(
      "daemon",
      "it does not answer",
      "it is started again by itself; see `bureau doctor`",
    );
  }
  return [
    ...(daemon.sync.state === "failing" || daemon.sync.state === "lost"
      ? bad(
        "daemon",
        `sync ${daemon.sync.state}: ${daemon.sync.message ?? ""}`,
        "what is assigned meanwhile takes effect when the homeserver is back",
      )
      : []),
    ...(daemon.launcher.connected ? [] : bad(
      "daemon",
      "it has no connection to the launcher",
      "no agent starts or stops; see `bureau doctor`",
    )),
  ];
}

function ofPrincipals({ daemon }: Snapshot): Need[] {
  if (daemon === null || daemon instanceof BureauError) return [];
  return daemon.principals.flatMap((view): Need[] => {
    const name = shortName(view.principal);
    if (view.phase === "failed" || view.phase === "backing-off") {
      const why = view.message ??
        (view.exit_code === null ? "" : `exit status ${view.exit_code}`);
      const next = view.hint ?? `bureau agent show ${name}`;
      return [{ kind: "bad", subject: name, message: `${view.phase}: ${why}`, next }];
    }
    if (view.health?.state === "unhealthy") {
      const message = `unhealthy for ${ago(view.health.since)}: ${view.health.message ?? ""}`;
      return [{ kind: "bad", subject: name, message, next: `bureau observe ${name}` }];
    }
    return [];
  });
}

function ofQuestions({ daemon, approvals, at }: Snapshot): Need[] {
  const asks = daemon === null || daemon instanceof BureauError ? [] : daemon.asks;
  return [
    ...asks.map((ask): Need => ({
      kind: "waits",
      subject: shortName(ask.principal),
      message: `asks to connect to ${authorityOf(ask)}, for ${ago(ask.since, at)}`,
      next: `bureau egress approve ${ask.id}, or deny`,
    })),
    ...approvals.map((one): Need => ({
      kind: "waits",
      subject: shortName(one.principal),
      message: `asks to use ${one.tool} on ${one.resource}`,
      next: `bureau agent approve ${one.id.slice(0, 8)}, or deny`,
    })),
  ];
}

function ofCredentials({ credentials, at }: Snapshot): Need[] {
  return credentials.filter(({ expires_at }) => expires_at - at < SOON_MS)
    .sort((a, b) => a.expires_at - b.expires_at)
    .map(({ principal, name, expires_at }) => ({
      kind: expires_at <= at ? "bad" as const : "soon" as const,
      subject: shortName(principal),
      message: expires_at <= at
        ? `the credential ${name} expired ${ago(expires_at, at)} ago`
        : `the credential ${name} expires in ${ago(at, expires_at)}`,
      next: `bureau credential rotate ${shortName(principal)} ${name} FILE`,
    }));
}

function ofMachines({ machines, at }: Snapshot): Need[] {
  return machines.filter((machine) => machine.at === null || at - machine.at > UNSEEN_MS)
    .map(({ name, at: seen }) => ({
      kind: "bad" as const,
      subject: `machine ${name}`,
      message: seen === null ? "was never seen" : `was not seen for ${ago(seen, at)}`,
      next: `bureau machine show ${name}`,
    }));
}

function ofUnread({ unread }: Snapshot): Need[] {
  return unread.map(({ what, why }) => ({
    kind: "bad",
    subject: "status",
    message: `it is not known ${what}: ${why.message}`,
    next: why.hint ?? "see `bureau doctor`",
  }));
}
