// SPDX-License-Identifier: Apache-2.0

/** Which recording is meant, and what is in it. */
import type { daemonApi, RecordingView } from "../../daemon/api.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Client } from "../../lib/http/mod.ts";
import { type CastEvent, readCast, sizeText } from "../../lib/recording/mod.ts";
import { CliError } from "../framework/exit.ts";

export interface Source {
  readonly cols: number;
  readonly rows: number;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly recordings: readonly RecordingView[];
  /** Of all of them, as one. A part that begins anew with the whole screen has an event of its size first. */
  readonly events: AsyncGenerator<CastEvent>;
}

/** @throws {CliError} `no-recording`, `ambiguous` */
export function chosen(
  recordings: readonly RecordingView[],
  text: string | undefined,
  principal: string,
): readonly RecordingView[] {
  const found = text === undefined
    ? recordings.slice(-1)
    : text === "all"
    ? recordings
    : recordings.filter(({ id, session }) => session === text || id.startsWith(text));
  if (found.length === 0) {
    throw new CliError(
      "no-recording",
      text === undefined || text === "all"
        ? `Cannot find a recording of "${principal}": there is none`
        : `Cannot find recording "${text}" of "${principal}"`,
      { status: 404, hint: "`bureau log list NAME` shows what there is; old ones are removed" },
    );
  }
  const isOneSession = found.every(({ session }) => session === found[0]!.session);
  if (text !== "all" && !isOneSession) {
    throw new CliError("ambiguous", `Cannot tell which is meant: "${text}" begins several`, {
      hint: found.map(({ id }) => id).slice(0, 5).join(", "),
    });
  }
  return found;
}

export async function openSource(
  daemon: Client<typeof daemonApi>,
  principal: string,
  text: string | undefined,
  signal: AbortSignal,
): Promise<Source> {
  const answer = await daemon.call("recordings", { params: { principal }, signal });
  const recordings = chosen(answer.recordings, text, principal);
  const read = async (id: string) =>
    await readCast(await daemon.stream("recording", { params: { principal, id }, signal }));
  const first = await read(recordings[0]!.id);
  const started = first.header.startedAt;
  async function* events(): AsyncGenerator<CastEvent> {
    yield* first.events;
    for (const { id } of recordings.slice(1)) {
      const { header, events } = await read(id);
      const after = Math.max(0, header.startedAt - started);
      yield { at: after, code: "r", data: sizeText(header) };
      for await (const event of events) yield { ...event, at: event.at + after };
    }
  }
  const { cols, rows } = first.header;
  return { cols, rows, started, recordings, events: events() };
}

/**
 * A recording in a file, as `log export` writes it.
 * @throws {CliError} `no-recording`; `RecordingError` when it is none
 */
export async function openFile(path: string): Promise<Source> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (thrown) {
    throw new CliError(
      "no-recording",
      `Cannot read the recording "${path}": ${messageOf(thrown)}`,
      {
        status: 404,
      },
    );
  }
  const { header, events } = await readCast(file.readable);
  const { cols, rows, startedAt } = header;
  return { cols, rows, started: startedAt, recordings: [], events };
}
