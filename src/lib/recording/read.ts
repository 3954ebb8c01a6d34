// SPDX-License-Identifier: Apache-2.0

/** The bytes of a recording on disk, compressed or not, from its beginning. */
import { RecordingError } from "./format.ts";
import { listRecordings, type RecordingFile } from "./files.ts";

const CHUNK = 64 * 1024;

/** @throws {RecordingError} `recording-damaged` while it is read; what the disk says */
export async function* readRecording(
  dir: string,
  { name, open }: Pick<RecordingFile, "name" | "open">,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const file = await Deno.open(`${dir}/${name}`);
  try {
    if (open) return yield* piecesOf(file);
    yield* file.readable.pipeThrough(new DecompressionStream("gzip"));
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new RecordingError(
      "recording-damaged",
      `Cannot read "${name}" to its end: it is damaged`,
      {
        status: 422,
        cause: thrown,
      },
    );
  } finally {
    try {
      file.close();
    } catch {
      // Its stream has closed it.
    }
  }
}

async function* piecesOf(file: Deno.FsFile): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  while (true) {
    const chunk = new Uint8Array(CHUNK);
    const count = await file.read(chunk);
    if (count === null) return;
    yield chunk.subarray(0, count);
  }
}

/**
 * What is added to the newest recording, and to those that come after it, as it is written. Each recording
 * begins with its header; nothing is written while `signal` is not aborted.
 *
 * @param pause between two looks; an agent that is quiet costs a look
 */
export async function* followRecordings(
  dir: string,
  signal: AbortSignal,
  pause: (signal: AbortSignal) => Promise<void>,
): AsyncGenerator<{ readonly id: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  let done: RecordingFile | null = null;
  while (!signal.aborted) {
    const files = await listRecordings(dir);
    const next: RecordingFile | undefined = done === null
      ? files.at(-1)
      : files.find((file) => isAfter(file, done!));
    if (next === undefined) {
      await pause(signal);
      continue;
    }
    yield* followOne(dir, next, signal, pause);
    done = next;
  }
}

/** The one that was read may be gone meanwhile. */
function isAfter(file: RecordingFile, done: RecordingFile): boolean {
  if (file.session === done.session) return file.part > done.part;
  return file.started >= done.started;
}

/** To its end: which is when another follows it, or it was closed. */
async function* followOne(
  dir: string,
  recording: RecordingFile,
  signal: AbortSignal,
  pause: (signal: AbortSignal) => Promise<void>,
): AsyncGenerator<{ readonly id: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const { id, name, open } = recording;
  if (!open) {
    for await (const bytes of readRecording(dir, recording)) yield { id, bytes };
    return;
  }
  using file = await Deno.open(`${dir}/${name}`);
  while (!signal.aborted) {
    // Looked at before the last bytes are read: what was written before it was closed is not missed.
    const isClosed = await isOver(dir, id);
    for await (const bytes of piecesOf(file)) yield { id, bytes };
    if (isClosed) return;
    await pause(signal);
  }
}

async function isOver(dir: string, id: string): Promise<boolean> {
  const newest = (await listRecordings(dir)).at(-1);
  return newest === undefined || newest.id !== id || !newest.open;
}
