// SPDX-License-Identifier: Apache-2.0

/** Files: up and down, streamed, within caps of size. */
import { badRequest, ProxyError } from "../errors.ts";
import { readText } from "../json.ts";
import type { IncomingResponse } from "../upstream.ts";
import { type MatrixAccount, type MatrixCall, MAX_EVENT_BYTES, V1 } from "./account.ts";
import { contentUri, segment, text } from "./parameters.ts";
import { MatrixRefusal } from "./refusal.ts";
import type { MatrixRoutes } from "./routes.ts";

/** Largest file, each way. The homeserver's own limit (`m.upload.size`) may be lower. */
export const MAX_MEDIA_BYTES = 100 * 1024 * 1024;
const CONTENT_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(?:;[\x20-\x7e]{0,200})?$/;

export const mediaRoutes: MatrixRoutes = {
  "media": {
    GET: (account, request, query) => {
      account.authority.require("matrix/read");
      const { server, id } = contentUri(query.get("uri"));
      account.requireServer(server);
      const target = `${V1}/media/download/${segment(server, "server")}/${segment(id, "id")}`;
      return download(account, { method: "GET", target }, request.signal);
    },
    POST: (account, request, query) => {
      const name = query.get("filename");
      const file = name === null
        ? ""
        : `?filename=${encodeURIComponent(text(name, "filename", 255))}`;
      return upload(account, request, "POST", `/_matrix/media/v3/upload${file}`);
    },
  },
  "media-config": {
    GET: (account, request) => {
      account.authority.require("matrix/read");
      return account.call({ method: "GET", target: `${V1}/media/config` }, request.signal);
    },
  },
};

/** @throws {ProxyError} `too-large`, 413 */
export async function upload(
  account: MatrixAccount,
  request: Request,
  method: string,
  target: string,
): Promise<Response> {
  account.authority.require("matrix/upload");
  const said = request.headers.get("content-length");
  if (said !== null && (!/^\d{1,15}$/.test(said) || Number(said) > MAX_MEDIA_BYTES)) {
    throw tooLarge("upload the file");
  }
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  if (!CONTENT_TYPE.test(type)) throw badRequest("its Content-Type is malformed");
  const chunked = request.headers.has("transfer-encoding");
  return await account.call({
    method,
    target,
    body: (request.body ?? new ReadableStream({ start: (controller) => controller.close() }))
      .pipeThrough(counted("upload the file")),
    contentType: type,
    length: chunked || said === null ? null : Number(said),
  }, request.signal);
}

/** @throws {MatrixRefusal} @throws {ProxyError} `too-large`, 502 */
export async function download(
  account: MatrixAccount,
  call: MatrixCall,
  signal: AbortSignal,
): Promise<Response> {
  const response = await account.exchange(call, signal);
  const { status } = response.head;
  if (status < 200 || status >= 300) {
    throw new MatrixRefusal(status, await readText(response.body, MAX_EVENT_BYTES));
  }
  const { headers, length } = fileHeaders(response);
  if (length !== null && length > MAX_MEDIA_BYTES) {
    if (response.body instanceof ReadableStream) response.body.cancel().catch(() => {});
    throw tooLarge("download the file");
  }
  const body = response.body instanceof ReadableStream
    ? response.body.pipeThrough(counted("download the file"))
    : response.body;
  return new Response(body, { status, headers });
}

function fileHeaders({ head, body }: IncomingResponse) {
  const headers = new Headers({
    // What strangers uploaded is never to run where it is shown.
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
  });
  let length: number | null = null;
  for (const [name, value] of head.headers) {
    if (name === "content-type" || name === "content-disposition" || name === "etag") {
      headers.set(name, value);
    }
    if (name === "content-length" && /^\d{1,15}$/.test(value)) {
      length = Number(value);
      if (body instanceof ReadableStream) headers.set(name, value);
    }
  }
  return { headers, length };
}

/** Ends with an error past the cap. */
function counted(what: string): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let count = 0;
  return new TransformStream({
    transform(piece, controller) {
      count += piece.length;
      if (count > MAX_MEDIA_BYTES) controller.error(tooLarge(what));
      else controller.enqueue(piece);
    },
  });
}

function tooLarge(what: string): ProxyError {
  return new ProxyError("too-large", `Cannot ${what}: over ${MAX_MEDIA_BYTES} bytes`, {
    status: 413,
    hint: "share a large file through an artifact or a service instead",
  });
}
