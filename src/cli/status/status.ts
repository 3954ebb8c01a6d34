// SPDX-License-Identifier: Apache-2.0

/** `status`: one screen of truth from the supervisor, the daemon, the homeserver and the operator's rooms. */
import { systemClock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import { gather, type Snapshot } from "./gather.ts";
import { needsOf } from "./needs.ts";
import { describePermissions } from "./permissions.ts";
import type * as results from "./results.ts";
import { screen, type Size } from "./screen.ts";

const WATCH_MS = 2_000;
/** ECMA-48: home, and erase what is below. */
const REDRAW = "\x1b[H\x1b[J";

export const status: CommandHandler<typeof results.status> = async (call) => {
  if (call.flags["permissions"] === true) return await describePermissions(call);
  if (call.flags["watch"] === true) return await watch(call);
  const snapshot = await gather(call);
  if (isDown(snapshot)) {
    throw new CliError("not-running", `Bureau is not running (run directory "${call.runDir}")`, {
      hint: "start it with `deno task up`",
    });
  }
  for (const line of screen(snapshot, sizeOf())) call.print(line);
  const result = resultOf(snapshot);
  return call.flags["check"] === true && !result.well ? new Ended(result, Exit.failed) : result;
};

/** Somebody who logged in from elsewhere has a homeserver, and no Bureau here. */
function isDown({ supervisor, daemon, homeserver }: Snapshot): boolean {
  return supervisor === null && daemon === null && homeserver === null;
}

function resultOf(snapshot: Snapshot) {
  const { supervisor, daemon, homeserver } = snapshot;
  const needs = needsOf(snapshot);
  return {
    supervisor,
    daemon: daemon instanceof BureauError ? daemon.toBody() : daemon,
    homeserver,
    needs,
    well: needs.every(({ kind }) => kind !== "bad"),
  };
}

/** What goes elsewhere is as long as it is. */
function sizeOf(): Size | null {
  if (!Deno.stdout.isTerminal()) return null;
  const { rows, columns } = Deno.consoleSize();
  return rows > 0 && columns > 0 ? { rows, columns } : null;
}

/** Until ctrl-C. As JSON a line each time; Bureau may be down meanwhile. */
async function watch(call: Invocation): Promise<undefined> {
  while (!call.signal.aborted) {
    const snapshot = await gather(call);
    if (call.signal.aborted) break;
    if (call.json) call.emit(JSON.stringify(resultOf(snapshot)));
    else {
      const size = sizeOf();
      const lines = isDown(snapshot)
        ? ["Bureau is not running; start it with `deno task up`"]
        : screen(snapshot, size);
      call.print((size === null ? "" : REDRAW) + lines.join("\n"));
    }
    await systemClock.sleep(WATCH_MS, call.signal).catch(() => {});
  }
  return undefined;
}
