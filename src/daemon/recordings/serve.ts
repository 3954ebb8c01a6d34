// SPDX-License-Identifier: Apache-2.0

/** Recordings on the daemon's socket: files that relays write, of principals that run, stopped or are gone. */
import type { Handlers } from "../../lib/http/mod.ts";
import {
  eventLine,
  headerLine,
  listRecordings,
  readCast,
  readOwner,
  readRecording,
  RECORDING_ID,
  type RecordingFile,
} from "../../lib/recording/mod.ts";
import { principalHash, resolvePrincipal, userId as userIdOf } from "../../lib/ref/mod.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { Served } from "../serve.ts";
import type { RecordingView } from "./api.ts";
import { followedEvents } from "./follow.ts";

/** An event line is at least this much of what is sent at once. */
const CHUNK_CHARS = 64 * 1024;

type Routes = "recorded" | "recordings" | "recording" | "followRecording";

export function createRecordingHandlers(
  served: Served,
): Pick<Handlers<typeof daemonApi>, Routes> {
  const { authority, verifier, fleet, serverName } = served;
  const recordingsDir = recordingsBeside(served.stateDir);
  const mayWatch = (viewer: string, localpart: string) =>
    authority.may(viewer, "observe", userIdOf(localpart, serverName));

  /** Also of a principal that is gone: then it is the recordings that are asked for. */
  async function find(viewer: string, name: string) {
    const localpart = resolvePrincipal(name, fleet, serverName);
    const dir = `${recordingsDir}/${await principalHash(localpart)}`;
    const isKnown = served.principal(localpart) !== undefined ||
      (await readOwner(dir))?.principal === localpart;
    if (isKnown && mayWatch(viewer, localpart)) return { localpart, dir };
    throw new DaemonError(
      "not-found",
      `Cannot find recordings of "${name}": no such principal on this machine, or not yours to see`,
      { status: 404, hint: "`bureau log list` shows of whom there are some" },
    );
  }

  function audit(viewer: string, localpart: string, what: string): void {
    authority.audited(viewer, "observe", userIdOf(localpart, serverName), { what });
  }

  return {
    recorded: async ({ request }) => {
      const viewer = await verifier.userOf(request);
      const principals = [];
      for (const hash of await directories(recordingsDir)) {
        const dir = `${recordingsDir}/${hash}`;
        const owner = await readOwner(dir);
        if (owner === null || !mayWatch(viewer, owner.principal)) continue;
        const files = await listRecordings(dir);
        if (files.length === 0) continue;
        principals.push({
          principal: owner.principal,
          recordings: files.length,
          bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
          ended: Math.max(...files.map(({ ended }) => ended)),
        });
      }
      return { principals: principals.sort((a, b) => a.principal < b.principal ? -1 : 1) };
    },
    recordings: async ({ request, params }) => {
      const { localpart, dir } = await find(await verifier.userOf(request), params["principal"]!);
      return { principal: localpart, recordings: (await listRecordings(dir)).map(view) };
    },
    recording: async ({ request, params, query }) => {
      const viewer = await verifier.userOf(request);
      const { localpart, dir } = await find(viewer, params["principal"]!);
      const id = params["id"]!;
      const from = Number(query.get("from") ?? 0);
      if (!RECORDING_ID.test(id) || !Number.isSafeInteger(from) || from < 0) {
        throw new DaemonError(
          "bad-request",
          "Cannot read the recording: its id or `from` is wrong",
          {
            status: 400,
            hint: "`bureau log list NAME` shows what there is",
          },
        );
      }
      const file = (await listRecordings(dir)).find((one) => one.id === id);
      if (file === undefined) {
        throw new DaemonError("no-recording", `Cannot find recording "${id}"`, {
          status: 404,
          hint: "old ones are removed; `bureau log list NAME` shows what there is",
        });
      }
      audit(viewer, localpart, `recording ${id}`);
      return await castResponse(dir, file, from);
    },
    followRecording: async ({ request, params }) => {
      const viewer = await verifier.userOf(request);
      const { localpart, dir } = await find(viewer, params["principal"]!);
      audit(viewer, localpart, "recording as it is written");
      return followedEvents(dir, {
        mayGoOn: () => mayWatch(viewer, localpart),
        ends: AbortSignal.any([served.closing, request.signal]),
      });
    },
  };
}

/** `<state>/recordings`: relays write there, and the launcher makes it. */
function recordingsBeside(stateDir: string): string {
  return stateDir.replace(/\/*[^/]*\/*$/, "/recordings");
}

function view({ name: _, ...file }: RecordingFile): RecordingView {
  return file;
}

async function directories(dir: string): Promise<string[]> {
  try {
    const all = await Array.fromAsync(Deno.readDir(dir));
    return all.filter(({ name, isDirectory }) => isDirectory && /^[0-9a-f]{16}$/.test(name))
      .map(({ name }) => name);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return [];
    throw thrown;
  }
}

/** Whole lines, whatever a crash left on disk. */
async function castResponse(dir: string, file: RecordingFile, from: number): Promise<Response> {
  const { header, events } = await readCast(readRecording(dir, file));
  async function* lines(): AsyncGenerator<string> {
    let text = headerLine(header);
    let before = 0;
    for await (const { at, code, data } of events) {
      const shown = Math.max(at, from);
      // What is before the time that was asked for is at its beginning.
      text += eventLine(before === 0 ? shown - from : shown - Math.max(before, from), code, data);
      before = shown;
      if (text.length < CHUNK_CHARS) continue;
      yield text;
      text = "";
    }
    yield text;
  }
  const body = ReadableStream.from(lines()).pipeThrough(new TextEncoderStream());
  return new Response(body, { headers: { "content-type": "application/x-asciicast" } });
}
