// SPDX-License-Identifier: Apache-2.0

/** `log export`: a recording as a file. */
import { eventLine, headerLine } from "../../lib/recording/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { openSource, type Source } from "./source.ts";
import { Transcript } from "./transcript.ts";

const WRITERS: Readonly<Record<string, (source: Source, title: string) => AsyncGenerator<string>>> =
  { asciicast, text, raw };

export const exportRecording: CommandHandler = async (call) => {
  const format = String(call.flags["format"] ?? "asciicast");
  const write = Object.hasOwn(WRITERS, format) ? WRITERS[format]! : null;
  if (write === null) {
    throw new CliError("usage", `Cannot export as "${format}": asciicast, text or raw`);
  }
  if (format !== "text" && Deno.stdout.isTerminal()) {
    throw new CliError(
      "usage",
      "Cannot write a recording to a terminal: it would obey what the agent wrote",
      { hint: "send it into a file, or play it with `bureau log play`" },
    );
  }
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, call.args[0]!);
    const source = await openSource(daemon, principal, call.args[1], call.signal);
    const encoder = new TextEncoder();
    for await (const part of write(source, principal)) {
      let rest: Uint8Array = encoder.encode(part);
      while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
    }
    return undefined;
  } finally {
    daemon.close();
  }
};

async function* asciicast(source: Source, title: string): AsyncGenerator<string> {
  const { cols, rows, started, events } = source;
  yield headerLine({ cols, rows, startedAt: started, title });
  let before = 0;
  for await (const { at, code, data } of events) {
    yield eventLine(at - before, code, data);
    before = Math.max(at, before);
  }
}

async function* text(source: Source): AsyncGenerator<string> {
  const lines: string[] = [];
  const transcript = new Transcript(source, (line) => lines.push(line.text));
  for await (const event of source.events) {
    await transcript.add(event);
    for (const line of lines.splice(0)) yield `${line}\n`;
  }
  await transcript.rest();
  transcript.dispose();
  for (const line of lines) yield `${line}\n`;
}

async function* raw(source: Source): AsyncGenerator<string> {
  for await (const { code, data } of source.events) if (code === "o") yield data;
}
