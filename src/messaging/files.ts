// SPDX-License-Identifier: Apache-2.0

/** Files in messages: uploaded once, named by `mxc://` URIs, downloaded by whoever has an account. */
import type { MatrixClient } from "./client.ts";
import { MessagingError } from "./errors.ts";
import { path } from "./request.ts";
import type { Content } from "./types.ts";

export interface FileInfo {
  readonly name: string;
  /** MIME type. */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** Of an image, in pixels. */
  readonly width?: number;
  readonly height?: number;
}

/** Long files take their time; a stalled connection must still end. */
const TRANSFER_MS = 10 * 60_000;

/**
 * Uploads bytes, or a stream that is never held whole. Not repeated by itself: a stream can be sent once.
 * @returns `mxc://server/id`
 * @throws {MessagingError} `too-large`
 */
export async function upload(
  client: MatrixClient,
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  { name, type }: Pick<FileInfo, "name" | "type">,
  signal?: AbortSignal,
): Promise<string> {
  const what = `upload "${name}"`;
  const response = await client.raw("POST", "/_matrix/media/v3/upload", {
    what,
    query: { filename: name },
    headers: { "content-type": type },
    body,
    signal,
    timeoutMs: TRANSFER_MS,
  });
  const answer = await response.json().catch(() => null) as { content_uri?: unknown } | null;
  if (typeof answer?.content_uri !== "string" || parseMxc(answer.content_uri) === null) {
    throw new MessagingError("bad-answer", `Cannot ${what}: the homeserver named no file`, {
      status: 502,
    });
  }
  return answer.content_uri;
}

/** Content of an `m.room.message`: an `m.image` where the type says so, else an `m.file`. */
export function fileContent(uri: string, file: FileInfo): Content {
  const isImage = /^image\//.test(file.type);
  return {
    msgtype: isImage ? "m.image" : "m.file",
    body: file.name,
    filename: file.name,
    url: uri,
    info: {
      mimetype: file.type,
      size: file.size,
      ...(file.width === undefined ? {} : { w: file.width }),
      ...(file.height === undefined ? {} : { h: file.height }),
    },
  };
}

/** Uploads and tells the room. @param txn of the message @returns the message's event id */
export async function sendFile(
  client: MatrixClient,
  room: string,
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  file: FileInfo,
  txn: string,
  signal?: AbortSignal,
): Promise<string> {
  const uri = await upload(client, body, file, signal);
  return await client.send(room, "m.room.message", fileContent(uri, file), txn, signal);
}

export interface Download {
  /** What the homeserver says it is: its sender's word, no more. */
  readonly type: string;
  /** Fails with `too-large` when more comes than was allowed. Read it or cancel it. */
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * Downloads with the account's token (authenticated media).
 * @param maxBytes of the file: what a room's message says of its size binds nobody
 * @throws {MessagingError} `bad-uri`, `not-found`, `too-large`
 */
export async function download(
  client: MatrixClient,
  uri: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Download> {
  const mxc = parseMxc(uri);
  if (mxc === null) {
    throw new MessagingError("bad-uri", `Cannot download "${uri.slice(0, 200)}": no mxc:// URI`, {
      status: 400,
    });
  }
  const response = await client.raw(
    "GET",
    path`/_matrix/client/v1/media/download/${mxc.server}/${mxc.id}`,
    { what: `download "${uri}"`, signal, timeoutMs: TRANSFER_MS },
  );
  const tooLarge = () =>
    new MessagingError(
      "too-large",
      `Cannot download "${uri}": it is longer than ${maxBytes} bytes`,
      { status: 413 },
    );
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  let left = maxBytes;
  const body = (response.body ?? new Blob([]).stream()).pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        left -= chunk.byteLength;
        if (left < 0) controller.error(tooLarge());
        else controller.enqueue(chunk);
      },
    }),
  );
  return { type: response.headers.get("content-type") ?? "application/octet-stream", body };
}

function parseMxc(uri: string): { server: string; id: string } | null {
  const match = /^mxc:\/\/([A-Za-z0-9.:[\]-]{1,255})\/([A-Za-z0-9_-]{1,255})$/.exec(uri);
  return match === null ? null : { server: match[1]!, id: match[2]! };
}
