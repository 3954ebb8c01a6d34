// SPDX-License-Identifier: Apache-2.0

/** The page's files, from memory. */
import { SECURITY_HEADERS } from "./api.ts";

/** What the page is made of, as text. */
export interface PageFiles {
  readonly index: string;
  readonly script: string;
  readonly style: string;
}

interface Served {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** Its name changes with its content. */
  readonly immutable: boolean;
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
  `<rect width="32" height="32" rx="7" fill="#1f6f5c"/>` +
  `<path d="M8 10l6 6-6 6M16 22h8" fill="none" stroke="#fff" stroke-width="3"/></svg>`;

const MANIFEST = JSON.stringify({
  name: "Bureau",
  short_name: "Bureau",
  start_url: "/",
  display: "standalone",
  background_color: "#101512",
  theme_color: "#101512",
  icons: [{ src: "/icon.svg", sizes: "any", type: "image/svg+xml" }],
});

/** @returns the handler of the process's socket */
export async function createPageHandler(
  { index, script, style }: PageFiles,
): Promise<(request: Request) => Response> {
  const files = new Map<string, Served>();
  const add = async (path: string, type: string, text: string, immutable = false) => {
    const body = new TextEncoder().encode(text);
    const digest = await crypto.subtle.digest("SHA-256", body);
    const hash = new Uint8Array(digest, 0, 12).toHex();
    const name = immutable ? path.replace("HASH", hash) : path;
    files.set(name, { type, body, etag: `"${hash}"`, immutable });
    return name;
  };
  const scriptAt = await add("/assets/page-HASH.js", "text/javascript", script, true);
  const styleAt = await add("/assets/page-HASH.css", "text/css", style, true);
  await add("/icon.svg", "image/svg+xml", ICON);
  await add("/manifest.webmanifest", "application/manifest+json", MANIFEST);
  await add(
    "/",
    "text/html",
    index.replace("/assets/page.js", scriptAt).replace("/assets/page.css", styleAt),
  );
  return (request) => answer(files, request);
}

function answer(files: ReadonlyMap<string, Served>, request: Request): Response {
  const headers = { ...SECURITY_HEADERS };
  const file = files.get(new URL(request.url).pathname);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(null, { status: 405, headers: { ...headers, allow: "GET, HEAD" } });
  }
  if (file === undefined) return new Response("not found\n", { status: 404, headers });
  const known = {
    ...headers,
    etag: file.etag,
    "cache-control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
  };
  if (request.headers.get("if-none-match")?.includes(file.etag)) {
    return new Response(null, { status: 304, headers: known });
  }
  return new Response(request.method === "HEAD" ? null : file.body, {
    headers: { ...known, "content-type": `${file.type}; charset=utf-8` },
  });
}
