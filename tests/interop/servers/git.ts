// SPDX-License-Identifier: Apache-2.0

/** Repositories over HTTPS: git's own `http-backend` (CGI, RFC 3875) behind a token, as hosting services do it. */
import { concatBytes } from "../../../src/lib/bytes.ts";
import { type Authority, DOMAIN, type Served } from "./tls.ts";

const BACKEND = "/usr/lib/git-core/git-http-backend";

export interface GitServer extends Served {
  /** Requests that came without the token, which git makes first. */
  readonly challenged: () => number;
  /** Who pushed or fetched, by path. */
  readonly served: readonly string[];
}

/** @param root a directory with bare repositories; `token` is the password of any user */
export function startGit(root: string, token: string, authority: Authority): GitServer {
  let challenged = 0;
  const served: string[] = [];
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      cert: authority.cert,
      key: authority.key,
    },
    async (request) => {
      const url = new URL(request.url);
      const user = userOf(request.headers.get("authorization"), token);
      if (user === null) {
        challenged++;
        await request.body?.cancel();
        return new Response("Authentication required\n", {
          status: 401,
          headers: { "www-authenticate": 'Basic realm="repositories"' },
        });
      }
      served.push(`${request.method} ${url.pathname}`);
      return await backend(request, url, root, user);
    },
  );
  return {
    host: `git.${DOMAIN}`,
    port: server.addr.port,
    challenged: () => challenged,
    served,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function userOf(authorization: string | null, token: string): string | null {
  const [scheme, value] = (authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return null;
  const [user, password] = atob(value ?? "").split(":");
  return password === token ? user! : null;
}

async function backend(request: Request, url: URL, root: string, user: string): Promise<Response> {
  const header = (name: string) => request.headers.get(name) ?? "";
  const child = new Deno.Command(BACKEND, {
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      HOME: root,
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: header("content-type"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      GIT_PROTOCOL: header("git-protocol"),
      REMOTE_USER: user,
      REMOTE_ADDR: "127.0.0.1",
      ...(header("content-length") === "" ? {} : { CONTENT_LENGTH: header("content-length") }),
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const fed = request.body === null
    ? child.stdin.close()
    : request.body.pipeTo(child.stdin).catch(() => {});
  const { head, body } = await cgiResponse(child.stdout);
  void Promise.allSettled([fed, child.status]);
  return new Response(body, head);
}

/** RFC 3875 §6: header lines, an empty one, then the body as it comes. */
async function cgiResponse(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<{ head: ResponseInit; body: ReadableStream<Uint8Array<ArrayBuffer>> }> {
  const reader = stdout.getReader();
  let read = new Uint8Array();
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the CGI program ended within its head: ${text}`);
    read = concatBytes([read, value]) as Uint8Array<ArrayBuffer>;
    text = new TextDecoder("latin1").decode(read);
  }
  const end = text.indexOf("\r\n\r\n");
  const headers = new Headers();
  let status = 200;
  for (const line of text.slice(0, end).split("\r\n")) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (name.toLowerCase() === "status") status = Number(value.split(" ")[0]);
    else headers.append(name, value);
  }
  const rest = read.slice(end + 4);
  return {
    head: { status, headers },
    body: new ReadableStream({
      start: (controller) => {
        if (rest.length > 0) controller.enqueue(rest);
      },
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    }),
  };
}
