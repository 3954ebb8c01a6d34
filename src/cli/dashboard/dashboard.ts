// SPDX-License-Identifier: Apache-2.0

/**
 * `dashboard`. `tasks/dashboard.sh` starts a tmux and this beside it, which speaks to it through two pipes: this process
 * starts no program.
 */
import { runSync } from "../../messaging/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { expandLayout, type Layout, leaves, type Shown, treeOf } from "../../lib/layout/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { readScene, type Scope, scopeOf, writeLayout } from "../layout/scope.ts";
import { daemonClient, loadSession, matrixClient } from "../session.ts";
import { TmuxControl } from "./control.ts";
import { readTmux } from "./scene.ts";
import { borderText, statusText } from "./status.ts";
import { LayoutSync } from "./sync.ts";
import type * as results from "../layout/results.ts";

/** What `tasks/dashboard.sh` waits for. */
const READY = "bureau-dashboard 1";
const STATUS_MS = 2_000;
const NEWS_MS = 200;
/** What may change what is shown. */
const TYPES = [EventType.layout, EventType.assignment, "m.room.member"];

export const dashboard: CommandHandler<typeof results.dashboard> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const scope = await scopeOf(call, client, session, call.args[0]);
  if (call.flags["control"] !== undefined) {
    return await control(call, session, client, scope, String(call.flags["control"]));
  }
  const scene = await readScene(client, session, scope);
  if (call.flags["plan"] === true) {
    call.emit(READY);
    return undefined;
  }
  const windows = expandLayout(scene.layout, scene.members)
    .map(({ name, panes }) => ({ name, panes: leaves(treeOf(panes)) }));
  if (windows.length === 0) call.print("no agent is here yet");
  for (const { name, panes } of windows) {
    call.print(name);
    for (const pane of panes) call.print(`  ${neutraliseLine(wordsOf(pane))}`);
  }
  return { scope: scope.kind, name: scope.name, room: scope.room, windows };
};

function wordsOf({ observe, command, role }: Shown): string {
  return observe ?? (command === undefined ? String(role) : `runs, when told to: ${command}`);
}

/** What a pane runs. No shell reads a word of the layout, but for a command that the person has said yes to. */
export function paneCommand(call: Invocation, program: string) {
  const directories = ["--state-dir", call.stateDir, "--run-dir", call.runDir];
  return ({ observe, command, role }: Shown): string[] => {
    if (observe !== undefined) {
      return ["/bin/sh", program, ...directories, "observe", "--wait", "--", observe];
    }
    // Whoever may write a layout does not thereby run programs on this machine.
    if (command !== undefined) return ["/bin/sh", "-c", ASK, "sh", command];
    return ["/bin/sh", "-c", SAY, "sh", role ?? ""];
  };
}

// On one line each: tmux is told them in one.
const ASK =
  `printf 'This layout has a command here:\\n\\n  %s\\n\\nEnter runs it, ctrl-C does not. ' "$1"; ` +
  `read -r answer || exit 0; exec /bin/sh -c "$1"`;
const SAY = `printf '%s\\n' "$1"; while read -r line; do :; done`;

async function control(
  call: Invocation,
  session: Awaited<ReturnType<typeof loadSession>>,
  client: ReturnType<typeof matrixClient>,
  scope: Scope,
  program: string,
): Promise<undefined> {
  const stop = new AbortController();
  const signal = AbortSignal.any([call.signal, stop.signal]);
  const problems = new Problems();
  let sync: LayoutSync | null = null;
  const tmux = new TmuxControl(
    Deno.stdin.readable,
    Deno.stdout.writable,
    (name) => sync?.event(name),
  );
  void tmux.ended.then(() => stop.abort());
  const daemon = daemonClient(call, session);
  sync = new LayoutSync({
    tmux,
    command: paneCommand(call, program),
    read: () => readScene(client, session, scope),
    publish: async (layout: Layout) => {
      const machine = `@${session.machine}:${session.server_name}`;
      await writeLayout(client, scope, { ...layout, source_machine: machine });
    },
    tell: (problem) => problems.set("layout", problem),
    signal,
  });
  const layouts = sync;
  try {
    await Promise.race([
      tmux.ended,
      (async () => {
        await layouts.refresh();
        await Promise.all([
          follow(client, session.user_id, () => void layouts.refresh(), problems, signal),
          showStatus(tmux, daemon, problems, signal),
        ]);
      })(),
    ]);
  } finally {
    stop.abort();
    daemon.close();
  }
  return undefined;
}

/** What goes wrong stands in the last line, until it goes right. */
class Problems {
  readonly #known = new Map<string, string>();

  set(what: string, problem: string | null): void {
    if (problem === null) this.#known.delete(what);
    else this.#known.set(what, `${what}: ${neutraliseLine(problem)}`);
  }

  get text(): string {
    return [...this.#known.values()].join(" · ");
  }
}

/** Calls `changed` after news of what is shown, once for what comes together. */
async function follow(
  client: ReturnType<typeof matrixClient>,
  userId: string,
  changed: () => void,
  problems: Problems,
  signal: AbortSignal,
): Promise<void> {
  const none = { not_types: ["*"] };
  const types = { types: TYPES };
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  await runSync({
    client,
    userId,
    filter: {
      presence: none,
      account_data: none,
      room: {
        state: types,
        timeline: { ...types, limit: 10 },
        ephemeral: none,
        account_data: none,
      },
    },
    store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
    onBatch: ({ initial, joined, left }) => {
      const isNews = left.length > 0 ||
        joined.some(({ state, timeline }) =>
          [...state, ...timeline].some(({ type }) => TYPES.includes(type))
        );
      // What was there at first may have come after it was read.
      if (!isNews && !initial) return;
      clearTimeout(timer);
      timer = setTimeout(changed, NEWS_MS);
    },
    onHealth: (health) => {
      problems.set("homeserver", health.state === "ok" ? null : messageOf(health.error));
    },
    signal,
  });
}

async function showStatus(
  tmux: TmuxControl,
  daemon: ReturnType<typeof daemonClient>,
  problems: Problems,
  signal: AbortSignal,
): Promise<void> {
  let told = "";
  const borders = new Map<string, string>();
  while (!signal.aborted) {
    const status = await daemon.call("status", { signal }).catch((thrown) => {
      problems.set("daemon", messageOf(thrown));
      return null;
    });
    if (signal.aborted) return;
    if (status !== null) problems.set("daemon", null);
    const text = [problems.text, status === null ? "" : statusText(status)]
      .filter((part) => part !== "").join(" · ");
    try {
      // Nothing in it is a format or a style of tmux's.
      const plain = text.replaceAll("#", "");
      if (plain !== told) await tmux.run("set-option", "-g", "@bureau_status", plain);
      told = plain;
      for (const { tree } of status === null ? [] : await readTmux(tmux)) {
        for (const { id, shown } of leaves(tree)) {
          if (shown?.observe === undefined) continue;
          const end = `/${shown.observe}`;
          const view = status!.principals.find(({ principal }) => principal.endsWith(end));
          const border = borderText(view);
          if ((borders.get(id) ?? "") === border) continue;
          borders.set(id, border);
          await tmux.run("set-option", "-p", "-t", id, "@bureau_need", border);
        }
      }
    } catch {
      // A pane went away in between, or tmux itself, which ends all this.
    }
    await systemClock.sleep(STATUS_MS, signal).catch(() => {});
  }
}
