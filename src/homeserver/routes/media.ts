// SPDX-License-Identifier: Apache-2.0

/** Files: one on disk for each, its name and type in the database. */
import { type Context, randomText } from "../context.ts";
import { notFound, storageFull } from "../errors.ts";
import { type AuthedCall, type Call, CORS_HEADERS, readBytes, type Routes } from "../http.ts";
import { messageOf } from "../../lib/errors.ts";

export const MAX_UPLOAD_BYTES = 50 * 1024 * 1024;

/** Shown in a browser without harm; everything else is offered as a download. */
const INLINE =
  /^(?:image\/(?:png|jpeg|gif|webp|avif)|audio\/[\w.+-]+|video\/(?:mp4|webm|ogg)|text\/plain)$/;

export function mediaRoutes(routes: Routes): void {
  const config = () => ({ "m.upload.size": MAX_UPLOAD_BYTES });
  const closed = (method: string, path: string, handler: (call: AuthedCall) => unknown) =>
    routes.raw(method, path, { open: false, handler });
  for (const version of ["v3", "r0"]) {
    closed("POST", `/_matrix/media/${version}/upload`, upload);
    closed("GET", `/_matrix/media/${version}/config`, config);
    // Old clients download without a token; here they need one like everybody.
    closed("GET", `/_matrix/media/${version}/download/:server/:mediaId`, download);
    closed("GET", `/_matrix/media/${version}/download/:server/:mediaId/:filename`, download);
    closed("GET", `/_matrix/media/${version}/thumbnail/:server/:mediaId`, download);
  }
  routes
    .on("GET", "/media/config", config, ["v1"])
    .on("GET", "/media/download/:server/:mediaId", download, ["v1"])
    .on("GET", "/media/download/:server/:mediaId/:filename", download, ["v1"])
    .on("GET", "/media/thumbnail/:server/:mediaId", download, ["v1"]);
}

const pathOf = (ctx: Context, mediaId: string) => `${ctx.config.state_dir}/media/${mediaId}`;

async function upload(call: AuthedCall): Promise<unknown> {
  const { ctx, session, query } = call;
  ctx.limits.take("write", session.userId);
  const bytes = await readBytes(call.request, MAX_UPLOAD_BYTES);
  const mediaId = randomText(24);
  const path = pathOf(ctx, mediaId);
  try {
    await Deno.mkdir(`${ctx.config.state_dir}/media`, { recursive: true, mode: 0o700 });
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  } catch (thrown) {
    await Deno.remove(path).catch(() => {});
    if (/no space|ENOSPC|os error 28|os error 5|quota/i.test(messageOf(thrown))) {
      throw storageFull(thrown);
    }
    throw thrown;
  }
  await ctx.db.write(() =>
    ctx.db.run(
      "INSERT INTO media VALUES (?, ?, ?, ?, ?, ?)",
      mediaId,
      session.userId,
      call.request.headers.get("content-type") ?? "application/octet-stream",
      query.get("filename"),
      bytes.length,
      ctx.clock.now(),
    )
  );
  return { content_uri: `mxc://${ctx.serverName}/${mediaId}` };
}

async function download(call: Call): Promise<Response> {
  const { ctx, params, request } = call;
  const { server, mediaId } = params as { server: string; mediaId: string };
  const row = server === ctx.serverName && /^[A-Za-z0-9]{1,64}$/.test(mediaId)
    ? ctx.db.get("SELECT * FROM media WHERE media_id = ?", mediaId)
    : undefined;
  if (row === undefined) throw notFound(`Cannot find media "mxc://${server}/${mediaId}"`);
  const size = Number(row["size"]);
  const type = String(row["content_type"]);
  const name = params["filename"] ?? row["filename"];
  const headers = new Headers({
    ...CORS_HEADERS,
    "content-type": type,
    // An uploaded page must not run as if it came from this server.
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "private, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    "content-disposition": `${INLINE.test(type) ? "inline" : "attachment"}${
      typeof name === "string"
        ? `; filename*=UTF-8''${
          encodeURIComponent(name.toWellFormed()).replace(
            /['()*]/g,
            (c) => `%${c.charCodeAt(0).toString(16)}`,
          )
        }`
        : ""
    }`,
  });
  const range = parseRange(request.headers.get("range"), size);
  if (range === "unsatisfiable") {
    headers.set("content-range", `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  const [first, length] = range ?? [0, size];
  const file = await Deno.open(pathOf(ctx, mediaId));
  if (first > 0) await file.seek(first, Deno.SeekMode.Start);
  headers.set("content-length", String(length));
  if (range !== undefined) {
    headers.set("content-range", `bytes ${first}-${first + length - 1}/${size}`);
  }
  return new Response(limit(file.readable, length), {
    status: range === undefined ? 200 : 206,
    headers,
  });
}

/** @returns [first, length] of a single range; undefined to send everything */
export function parseRange(
  header: string | null,
  size: number,
): [first: number, length: number] | "unsatisfiable" | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "unsatisfiable" : [size - length, length];
  }
  const first = Number(match[1]);
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < first) return undefined;
  return first >= size ? "unsatisfiable" : [first, last - first + 1];
}

function limit(stream: ReadableStream<Uint8Array>, length: number): ReadableStream<Uint8Array> {
  let left = length;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (left > 0) controller.enqueue(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) controller.terminate();
      },
    }),
  );
}
