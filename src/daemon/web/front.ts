// SPDX-License-Identifier: Apache-2.0

/**
 * What a browser may ask: the page's files, logging in and out, and those of the daemon's own routes that the page
 * needs, with the rights of the session's user and no others.
 */
import * as z from "zod/mini";
import { BureauError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { SECURITY_HEADERS } from "../../web/api.ts";
import type { WebAccess } from "./access.ts";
import { welcome } from "./guest.ts";
import { fromOurPage, ownOrigin, type Place } from "./origin.ts";
import type { Session } from "./store.ts";
import { untilOver } from "./until.ts";

export interface FrontOptions {
  readonly access: WebAccess;
  /** The daemon's own handler. */
  readonly handler: (request: Request) => Promise<Response>;
  /** The page's files. */
  readonly page: (request: Request) => Promise<Response>;
  /** User id. */
  readonly machine: string;
  readonly onLogin: (session: Session | null) => void;
  readonly log: Logger;
}

/** What the page needs, by method; a shared link has `observe` of its agent alone. */
const ROUTES: readonly (readonly [method: string, path: RegExp])[] = [
  ["GET", /^\/v1\/principals$/],
  ["GET", /^\/v1\/principals\/[^/]+$/],
  ["GET", /^\/v1\/principals\/[^/]+\/(usage|output)$/],
  ["GET", /^\/v1\/principals\/[^/]+\/recordings(\/[^/]+){0,2}$/],
  ["GET", /^\/v1\/asks(\/events)?$/],
  ["POST", /^\/v1\/asks\/decide$/],
  ["GET", /^\/v1\/approvals(\/events)?$/],
  ["POST", /^\/v1\/approvals\/decide$/],
];
const OBSERVE = /^\/v1\/principals\/([^/]+)\/observe$/;
const LoginRequest = z.object({ token: z.string().check(z.maxLength(200)) });
const MAX_LOGIN_BYTES = 1024;
/** How soon what is open ends after its session. */
const RECHECK_MS = 2_000;

class FrontError extends BureauError {
  override readonly name = "FrontError";
}

export class Front {
  readonly #options: FrontOptions;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** Of one listener. */
  at(place: Place): (request: Request) => Promise<Response> {
    return async (request) => {
      try {
        return secured(await this.#answer(request, place));
      } catch (thrown) {
        if (!(thrown instanceof BureauError)) {
          this.#options.log.error("the web page was not served", { why: String(thrown) });
          return secured(
            Response.json({ error: { code: "internal", message: "Cannot serve it" } }, {
              status: 500,
            }),
          );
        }
        return secured(Response.json(thrown.toBody(), { status: thrown.status }));
      }
    };
  }

  async #answer(request: Request, place: Place): Promise<Response> {
    const own = ownOrigin(request, place);
    if (own === null) {
      throw new FrontError("wrong-host", "Cannot serve this: the page is not known by that name", {
        status: 421,
        hint: "a reverse proxy's name goes into `web_origin` of bureau.yaml",
      });
    }
    const { pathname } = new URL(request.url);
    if (pathname === "/metrics") {
      // Of the page's process, and no part of the page.
      throw new FrontError("not-found", "Cannot find that: it is no page", { status: 404 });
    }
    const isApi = pathname.startsWith("/v1/") || SESSION_PATHS.has(pathname);
    if (!isApi) return await this.#options.page(request);
    if (!fromOurPage(request, own)) {
      throw new FrontError("wrong-origin", "Cannot serve this: it was not asked by the page", {
        status: 403,
      });
    }
    const cookie = new SessionCookie(own);
    if (pathname === "/login") return await this.#login(request, cookie);
    const secret = cookie.of(request);
    const session = secret === null ? null : await this.#options.access.session(secret);
    if (session === null) {
      throw new FrontError("not-logged-in", "Cannot serve this: nobody is logged in", {
        status: 401,
        hint: "`bureau web` prints a link",
      });
    }
    if (pathname === "/session") return this.#session(session);
    if (pathname === "/logout") return await this.#logout(request, session, cookie);
    return await this.#api(request, pathname, session);
  }

  async #login(request: Request, cookie: SessionCookie): Promise<Response> {
    needs(request, "POST");
    const parsed = z.safeParse(LoginRequest, await smallJson(request));
    if (!parsed.success) {
      throw new FrontError("bad-request", "Cannot log in: that is no token", { status: 400 });
    }
    const { access, onLogin } = this.#options;
    try {
      const { cookie: value, session } = await access.login(parsed.data.token);
      onLogin(session);
      return new Response(null, {
        status: 204,
        headers: { "set-cookie": cookie.set(value, session.expires_at) },
      });
    } catch (thrown) {
      onLogin(null);
      throw thrown;
    }
  }

  #session({ user, kind, principal, expires_at }: Session): Response {
    const { machine } = this.#options;
    // Whoever has a shared link need not know whose it is.
    return Response.json(
      kind === "share"
        ? { kind, user: null, principal, machine: null, expires_at }
        : { kind, user, principal: null, machine, expires_at },
    );
  }

  async #logout(request: Request, session: Session, cookie: SessionCookie): Promise<Response> {
    needs(request, "POST");
    await this.#options.access.logout(session);
    return new Response(null, { status: 204, headers: { "set-cookie": cookie.set("", 0) } });
  }

  async #api(request: Request, pathname: string, session: Session): Promise<Response> {
    const shared = session.kind === "share";
    const observed = request.method === "GET" ? OBSERVE.exec(pathname)?.[1] : undefined;
    const open = observed !== undefined
      ? !shared || decoded(observed) === session.principal
      : !shared &&
        ROUTES.some(([method, path]) => method === request.method && path.test(pathname));
    if (!open) {
      throw new FrontError("not-for-the-page", "Cannot serve this to a browser", { status: 403 });
    }
    const alive = () => this.#options.access.holds(session);
    welcome(request, {
      userId: session.user,
      who: shared ? `shared link ${session.grant}` : session.user,
      readOnly: shared,
      alive,
    });
    return untilOver(await this.#options.handler(request), alive, RECHECK_MS);
  }
}

const SESSION_PATHS: ReadonlySet<string> = new Set(["/login", "/logout", "/session"]);

/** Cookies are shared by all ports of a host: each page has one of its own name. */
class SessionCookie {
  readonly #name: string;
  readonly #secure: boolean;

  constructor(own: string) {
    const { protocol, port } = new URL(own);
    this.#secure = protocol === "https:";
    this.#name = `${this.#secure ? "__Host-" : ""}bureau${port === "" ? "" : `-${port}`}`;
  }

  of(request: Request): string | null {
    for (const part of (request.headers.get("cookie") ?? "").split(/;\s*/)) {
      if (part.startsWith(`${this.#name}=`)) return part.slice(this.#name.length + 1) || null;
    }
    return null;
  }

  /** @param until milliseconds since the epoch; 0 takes it back */
  set(value: string, until: number): string {
    return `${this.#name}=${value}; Path=/; HttpOnly; SameSite=Strict; Expires=${
      new Date(until).toUTCString()
    }${this.#secure ? "; Secure" : ""}`;
  }
}

function needs(request: Request, method: string): void {
  if (request.method === method) return;
  throw new FrontError("method-not-allowed", `Cannot do this with ${request.method}`, {
    status: 405,
  });
}

async function smallJson(request: Request): Promise<unknown> {
  let text = "";
  try {
    for await (const part of request.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part;
      if (text.length > MAX_LOGIN_BYTES) return null;
    }
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

/** A WebSocket's answer is the runtime's; every other one says what a browser may do with it. */
function secured(response: Response): Response {
  if (response.status === 101) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) headers.set(name, value);
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  return new Response(response.body, { status: response.status, headers });
}
