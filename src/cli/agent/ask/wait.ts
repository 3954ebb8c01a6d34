// SPDX-License-Identifier: Apache-2.0

/** `agent create --wait`: until the agent runs and has said something in its room, or why it doesn't. */
import { systemClock } from "../../../lib/clock.ts";
import { userId } from "../../../lib/ref/mod.ts";
import { neutralise, neutraliseLine } from "../../../lib/terminal/mod.ts";
import type { MatrixClient } from "../../../messaging/mod.ts";
import type { PrincipalView } from "../../../daemon/api.ts";
import { HttpApiError } from "../../../lib/http/mod.ts";
import { asCalled } from "../../framework/called.ts";
import type { Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import { daemonClient, type OperatorSession } from "../../session.ts";

const LOOK_MS = 250;
/** A first image of a large repository is a matter of seconds. */
const START_MS = 90_000;
/** Not every program speaks by itself. */
const SPEAK_MS = 15_000;
const ENDED: readonly PrincipalView["phase"][] = ["failed", "exited", "stopped", "backing-off"];

export interface Waited {
  readonly phase: PrincipalView["phase"];
  /** Its first message since; null: none yet. */
  readonly said: string | null;
}

interface Agent {
  readonly localpart: string;
  readonly room: string;
  /** Milliseconds since the epoch: what it said before does not count. */
  readonly since: number;
}

/** @throws {CliError} `not-running-yet` with the reason that the daemon has, and the last of its terminal */
export async function waitForWord(
  call: Invocation,
  session: OperatorSession,
  client: MatrixClient,
  agent: Agent,
): Promise<Waited> {
  const daemon = daemonClient(call, session);
  const params = { principal: agent.localpart };
  try {
    const began = systemClock.now();
    let running: number | null = null;
    while (true) {
      const view = await daemon.call("show", { params, signal: call.signal }).catch((thrown) => {
        // Not synced yet.
        if (thrown instanceof HttpApiError && thrown.status === 404) return null;
        throw thrown;
      });
      const said = await wordOf(client, session, agent);
      if (said !== null) return { phase: view?.phase ?? "running", said };
      const now = systemClock.now();
      if (view !== null && ENDED.includes(view.phase) && view.since >= agent.since) {
        const output = await daemon.call("output", { params, query: { lines: "8" } }).catch(() =>
          null
        );
        throw ended(view, output?.last?.output ?? []);
      }
      // A start condition, or a service: said by `create` already.
      if (view?.phase === "waiting") return { phase: "waiting", said: null };
      if (view?.phase === "running") {
        running ??= now;
        if (now - running > SPEAK_MS) return { phase: "running", said: null };
      } else running = null;
      if (now - began > START_MS) throw late(agent.localpart, view);
      await systemClock.sleep(LOOK_MS, call.signal);
    }
  } finally {
    daemon.close();
  }
}

/** What a person reads of it, and what they can do next. */
export function waitedLines(name: string, { phase, said }: Waited): string[] {
  if (said !== null) return [`it runs, and says: ${neutraliseLine(said)}`];
  if (phase === "waiting") {
    return [asCalled("it waits to be started; `bureau agent show` says for what")];
  }
  return [
    "it runs, and has said nothing yet",
    asCalled(`  talk   bureau matrix send ${name} "hello"`),
    asCalled(`  watch  bureau observe ${name}`),
  ];
}

async function wordOf(
  client: MatrixClient,
  session: OperatorSession,
  { localpart, room, since }: Agent,
): Promise<string | null> {
  const filter = { types: ["m.room.message"], senders: [userId(localpart, session.server_name)] };
  const { chunk } = await client.messages(room, { dir: "b", limit: 20, filter });
  const first = chunk.filter((event) => (event.origin_server_ts ?? 0) >= since).at(-1);
  return first === undefined ? null : String(first.content["body"] ?? "").split("\n")[0]!;
}

function ended(view: PrincipalView, lines: readonly string[]): CliError {
  const last = lines.filter((line) => line.trim() !== "").slice(-3).map((line) => `  ${line}`);
  return new CliError(
    "not-started",
    `Cannot say that "${view.principal}" works: it is ${view.phase}${
      view.message === null ? "" : `: ${view.message}`
    }`,
    {
      hint: neutralise([
        view.hint ?? `look at its terminal: bureau observe ${view.principal} --dump`,
        ...last,
      ].join("\n")),
    },
  );
}

function late(localpart: string, view: PrincipalView | null): CliError {
  const state = view === null
    ? "the daemon does not know of it yet"
    : `it is ${view.phase}${view.message === null ? "" : `: ${view.message}`}`;
  return new CliError("not-started", `Cannot wait longer for "${localpart}": ${state}`, {
    hint: view?.hint ?? "`bureau status` shows what else is wrong",
  });
}
