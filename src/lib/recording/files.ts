// SPDX-License-Identifier: Apache-2.0

/**
 * A principal's recordings, `<state>/recordings/<hash>/<start>-<session>.<part>.cast`, closed ones with
 * `.gz`. The name says everything but the end, which is the file's time of change.
 */

export interface RecordingFile {
  /** Name without endings; one part of a session. */
  readonly id: string;
  /** Of one life of the relay. */
  readonly session: string;
  readonly part: number;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly ended: number;
  /** On disk. */
  readonly bytes: number;
  /** Not compressed: it is being written, or its relay was killed. */
  readonly open: boolean;
  readonly name: string;
}

const NAME =
  /^((\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{8})\.(\d{4,9}))\.cast(\.gz)?$/;
export const RECORDING_ID = /^\d{8}T\d{9}Z-[0-9a-f]{8}\.\d{4,9}$/;
export const RECORDING_SESSION = /^[0-9a-f]{8}$/;
/** What a compression that was cut short leaves behind. */
const UNFINISHED = /\.cast\.gz\.new$/;

export function recordingId(session: string, part: number, startedAt: number): string {
  const time = new Date(startedAt).toISOString().replaceAll(/[-:.]/g, "");
  return `${time}-${session}.${String(part).padStart(4, "0")}`;
}

export function parseRecordingName(
  name: string,
): Omit<RecordingFile, "ended" | "bytes"> | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, id, year, month, day, hour, minute, second, ms, session, part, gz] = match;
  const started = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
  if (Number.isNaN(started)) return null;
  return { id: id!, session: session!, part: Number(part), started, open: gz === undefined, name };
}

/** The oldest first; empty where there is no such directory. */
export async function listRecordings(dir: string): Promise<RecordingFile[]> {
  const found = new Map<string, RecordingFile>();
  for (const name of await namesIn(dir)) {
    const parsed = parseRecordingName(name);
    if (parsed === null) continue;
    // Gone meanwhile, or something else by that name: not shown.
    const info = await Deno.lstat(`${dir}/${name}`).catch(() => null);
    if (info === null || !info.isFile) continue;
    // Killed between finishing the compressed one and removing this.
    if (parsed.open && found.has(parsed.id)) continue;
    found.set(parsed.id, {
      ...parsed,
      ended: info.mtime?.getTime() ?? parsed.started,
      bytes: info.size,
    });
  }
  return [...found.values()].sort((a, b) =>
    a.started - b.started || (a.session < b.session ? -1 : a.session > b.session ? 1 : 0) ||
    a.part - b.part
  );
}

/** Compressed ones before open ones of the same id. */
async function namesIn(dir: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(dir)) names.push(name);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  return names.sort((a, b) => Number(b.endsWith(".gz")) - Number(a.endsWith(".gz")));
}

export interface Keep {
  readonly maxBytes: number;
  readonly keepMs: number;
}

/**
 * Removes what is too old, then the oldest while there is too much.
 *
 * @param isWriting whether that one must stay
 */
export async function pruneRecordings(
  dir: string,
  { maxBytes, keepMs }: Keep,
  now: number,
  isWriting: (id: string) => boolean = () => false,
): Promise<void> {
  const files = await listRecordings(dir);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const file of files) {
    if (isWriting(file.id)) continue;
    if (bytes <= maxBytes && now - file.ended <= keepMs) continue;
    await Deno.remove(`${dir}/${file.name}`).catch(() => {});
    bytes -= file.bytes;
  }
}

/**
 * What a relay that was killed left: unfinished compressions go, parts that were open are returned.
 *
 * @param isWriting whether that one is open rightly
 */
export async function leftOpen(
  dir: string,
  isWriting: (id: string) => boolean,
): Promise<string[]> {
  const names = await namesIn(dir);
  const closed = new Set(names.filter((name) => name.endsWith(".cast.gz")));
  const open: string[] = [];
  for (const name of names) {
    // Only whoever compresses looks for them, one after the other.
    if (UNFINISHED.test(name)) {
      await Deno.remove(`${dir}/${name}`).catch(() => {});
    }
    const parsed = parseRecordingName(name);
    if (parsed === null || !parsed.open || isWriting(parsed.id)) continue;
    if (closed.has(`${name}.gz`)) await Deno.remove(`${dir}/${name}`).catch(() => {});
    else open.push(parsed.id);
  }
  return open.sort();
}
