// SPDX-License-Identifier: Apache-2.0

/** `log show`: a recording as text. */
import type { CastEvent } from "../../lib/recording/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { openSource } from "./source.ts";
import { Transcript, type TranscriptLine } from "./transcript.ts";
import type * as results from "./results.ts";

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, call.args[0]!);
    const source = await openSource(daemon, principal, call.args[1], call.signal);
    const lines: { at: number; text: string }[] = [];
    if (call.flags["markers"] === true) {
      const markers = await markersOf(source.events);
      for (const [index, { at, text }] of markers.entries()) {
        const time = new Date(source.started + at).toISOString().slice(0, 19);
        call.print(`${String(index + 1).padStart(4)}  ${time}Z  ${text}`);
      }
      return { principal, recordings: source.recordings, markers };
    }
    const transcript = new Transcript(source, ({ at, text }) => {
      const line = { at: source.started + at, text };
      if (call.json) lines.push(line);
      else call.print(showLine(line, call.flags["times"] === true));
    });
    for await (const event of source.events) await transcript.add(event);
    await transcript.rest();
    transcript.dispose();
    return { principal, recordings: source.recordings, lines };
  } finally {
    daemon.close();
  }
};

/** @returns each with its time in the recording, ms */
export async function markersOf(
  events: AsyncIterable<CastEvent>,
): Promise<{ at: number; text: string }[]> {
  const markers: { at: number; text: string }[] = [];
  for await (const { at, code, data } of events) {
    if (code === "m") markers.push({ at, text: neutraliseLine(data) });
  }
  return markers;
}

/** @param line with a time since the epoch; harmless */
export function showLine({ at, text }: TranscriptLine, withTime: boolean): string {
  return withTime ? `${new Date(at).toISOString().slice(0, 19)}Z  ${text}`.trimEnd() : text;
}
