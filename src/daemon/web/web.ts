// SPDX-License-Identifier: Apache-2.0

/**
 * The web page's network side: the listener on loopback, and the one on the local network where an operator asked
 * for it. Both put `Front` before the daemon's own handler and the page's process.
 */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { UNIX_HOST } from "../../lib/http/mod.ts";
import { fingerprint, RENEW_MS } from "../../lib/certificate/mod.ts";
import type { Logger } from "../../lib/log.ts";
import type { DaemonBootstrap } from "../api.ts";
import { DaemonError } from "../errors.ts";
import { WebAccess } from "./access.ts";
import type { WebIssued, WebStatus } from "./api.ts";
import { Front } from "./front.ts";
import { isLanAddress, makeLan } from "./lan.ts";
import { type AccessStore, openStore, type Session } from "./store.ts";

/** Where it is looked for first; another Bureau of this machine may have it. */
const USUAL_PORT = 6169;
const RETRY_MS = 5_000;

export interface WebOptions {
  readonly bootstrap: DaemonBootstrap;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends the listeners. */
  readonly signal: AbortSignal;
}

interface Opened {
  readonly store: AccessStore;
  readonly access: WebAccess;
  readonly front: Front;
}

export class Web {
  readonly #options: WebOptions;
  #opened: Promise<Opened> | null = null;
  /** Of the loopback listener. */
  #url: string | null = null;
  #problem: string | null = null;
  #lan: Deno.HttpServer | null = null;

  constructor(options: WebOptions) {
    this.#options = options;
  }

  /** @param handler the daemon's own; @param onLogin null: one that failed */
  open(
    handler: (request: Request) => Promise<Response>,
    onLogin: (session: Session | null) => void,
  ): void {
    const { bootstrap, clock, log } = this.#options;
    const { web } = bootstrap;
    if (web === undefined) return;
    const page = pageOf(web.socket, log);
    this.#opened = (async () => {
      const store = await openStore(bootstrap.state_dir, log);
      const access = new WebAccess(store, clock);
      const machine = bootstrap.user_id;
      const front = new Front({ access, handler, page, machine, onLogin, log });
      return { store, access, front };
    })();
    this.#opened.then((opened) => this.#listen(opened)).catch((thrown) =>
      log.error("the web page is not to be had", { why: messageOf(thrown) })
    );
  }

  /** @throws {DaemonError} `no-web` where this daemon serves no page */
  async #ready(): Promise<Opened> {
    if (this.#opened !== null) return await this.#opened;
    throw new DaemonError("no-web", "Cannot do that: this Bureau serves no web page", {
      status: 503,
      hint: "`deno task up` serves one",
    });
  }

  async access(): Promise<WebAccess> {
    return (await this.#ready()).access;
  }

  async status(): Promise<WebStatus> {
    const { store: { content: { lan } } } = await this.#ready();
    const addresses = this.#url === null ? [] : [{ url: this.#url, authority_sha256: null }];
    return {
      addresses: lan === null || this.#lan === null ? addresses : [...addresses, {
        url: `https://${authorityOf(lan.address, lan.port)}`,
        authority_sha256: await fingerprint(lan.authority),
      }],
      origins: [...this.#options.bootstrap.web!.origins],
      problem: this.#problem,
      authority: lan?.authority ?? null,
    };
  }

  /** What was issued, with the addresses that it may be opened at. */
  async shown(issued: Omit<WebIssued, "urls">): Promise<WebIssued> {
    const { addresses, origins } = await this.status();
    const at = [...addresses.map(({ url }) => url), ...origins];
    return { ...issued, urls: at.map((url) => `${url}/#token=${issued.token}`) };
  }

  /** @throws {DaemonError} `bad-address`, `no-web` */
  async listenOn(address: string | null): Promise<WebStatus> {
    const opened = await this.#ready();
    const { content } = opened.store;
    if (address !== null && !isLanAddress(address)) {
      throw new DaemonError(
        "bad-address",
        `Cannot listen on "${address}": not an address of the local network`,
        { status: 400, hint: "`hostname -I` prints this machine's" },
      );
    }
    await this.#closeLan();
    if (address === null) content.lan = null;
    else {
      const { clock } = this.#options;
      const kept = content.lan?.address === address &&
        content.lan.expires_at - clock.now() > RENEW_MS;
      if (!kept) content.lan = await makeLan(address, content.lan?.port ?? 0, clock);
      try {
        this.#openLan(opened);
      } catch (thrown) {
        content.lan = null;
        throw new DaemonError(
          "bad-address",
          `Cannot listen on "${address}": ${messageOf(thrown)}`,
          { status: 400, hint: "`hostname -I` prints this machine's addresses" },
        );
      } finally {
        await opened.store.save();
      }
    }
    await opened.store.save();
    return await this.status();
  }

  async #listen(opened: Opened): Promise<void> {
    const { bootstrap, clock, log, signal } = this.#options;
    const { content } = opened.store;
    if (content.lan !== null) {
      try {
        this.#openLan(opened);
      } catch (thrown) {
        // The address may be another network's today.
        log.warn("the web page is not on the local network", { why: messageOf(thrown) });
      }
    }
    const asked = bootstrap.web!.listen;
    const hostname = asked?.hostname ?? "127.0.0.1";
    // Without a wish the port that it had before, else the usual one, else any.
    const ports = asked === null ? [content.port ?? USUAL_PORT, USUAL_PORT, 0] : [asked.port];
    while (!signal.aborted) {
      for (const port of ports) {
        try {
          const { port: got } = this.#serve(opened, { hostname, port }, null).addr as Deno.NetAddr;
          this.#url = `http://${authorityOf(hostname, got)}`;
          this.#problem = null;
          log.info("the web page is served", { url: this.#url });
          if (asked === null && content.port !== got) {
            content.port = got;
            await opened.store.save();
          }
          return;
        } catch (thrown) {
          this.#problem = `${authorityOf(hostname, port)}: ${messageOf(thrown)}`;
        }
      }
      log.warn("the web page can't be served", { why: this.#problem });
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }

  #openLan(opened: Opened): void {
    const lan = opened.store.content.lan!;
    const at = { hostname: lan.address, port: lan.port };
    this.#lan = this.#serve(opened, at, { cert: lan.certificate, key: lan.key });
    lan.port = (this.#lan.addr as Deno.NetAddr).port;
    this.#options.log.info("the web page is on the local network", {
      address: authorityOf(lan.address, lan.port),
    });
  }

  async #closeLan(): Promise<void> {
    const server = this.#lan;
    this.#lan = null;
    // Not politely: who watches would keep it open.
    if (server !== null) {
      const closed = server.shutdown();
      server.unref();
      closed.catch(() => {});
      await Promise.race([closed, this.#options.clock.sleep(500)]);
    }
  }

  #serve(
    { front }: Opened,
    at: { readonly hostname: string; readonly port: number },
    tls: { readonly cert: string; readonly key: string } | null,
  ): Deno.HttpServer {
    const place = { lan: null as string | null, origins: this.#options.bootstrap.web!.origins };
    const answer = front.at(place);
    const server = Deno.serve({ ...at, ...(tls ?? {}), onListen() {} }, answer);
    if (tls !== null) {
      place.lan = authorityOf(at.hostname, (server.addr as Deno.NetAddr).port);
    }
    // What is open ends with the process; see src/cmd/daemon.ts.
    server.unref();
    return server;
  }
}

const authorityOf = (hostname: string, port: number) =>
  `${hostname.includes(":") ? `[${hostname.replace(/^\[|\]$/g, "")}]` : hostname}:${port}`;

/** The files, from the process that has them. */
function pageOf(socket: string, log: Logger): (request: Request) => Promise<Response> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  return async (request) => {
    const { pathname } = new URL(request.url);
    const known = request.headers.get("if-none-match");
    try {
      return await fetch(`http://${UNIX_HOST}${pathname}`, {
        client,
        method: request.method === "HEAD" ? "HEAD" : request.method === "GET" ? "GET" : "OPTIONS",
        redirect: "manual",
        ...(known === null ? {} : { headers: { "if-none-match": known } }),
      });
    } catch (thrown) {
      log.warn("the page's process does not answer", { why: messageOf(thrown) });
      return new Response("The page is being started again. Reload in a moment.\n", {
        status: 503,
        headers: { "retry-after": "1" },
      });
    }
  };
}
