// SPDX-License-Identifier: Apache-2.0

/** Puts the parts together and listens. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { createLogger, type Logger } from "../lib/log.ts";
import type { HomeserverBootstrap } from "./api.ts";
import type { Context } from "./context.ts";
import { Counters } from "./counters.ts";
import { Ephemeral } from "./ephemeral.ts";
import { createRequestHandler, Routes } from "./http.ts";
import { Notifier } from "./notifier.ts";
import { RateLimiter } from "./rate_limit.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { adminRoutes } from "./routes/admin.ts";
import { deviceRoutes } from "./routes/devices.ts";
import { discoveryRoutes } from "./routes/discovery.ts";
import { eventRoutes } from "./routes/events.ts";
import { mediaRoutes } from "./routes/media.ts";
import { operationRoutes } from "./routes/operations.ts";
import { relationRoutes } from "./routes/relations.ts";
import { roomRoutes } from "./routes/rooms.ts";
import { serverRoutes } from "./routes/server.ts";
import { userRoutes } from "./routes/users.ts";
import { Database } from "./store/database.ts";
import { usersIn } from "./store/members.ts";

export interface Homeserver {
  /** `http://<host>:<port>` with the port that was really taken. */
  readonly url: string;
  readonly finished: Promise<void>;
  /** How many long polls wait now. */
  readonly waitingPolls: number;
  /** Ends polls, finishes requests, closes the database. */
  close(): Promise<void>;
}

/**
 * @param config `listen.port` 0 takes a free port
 * @throws {BureauError} `port-in-use`, `public-address`, `state-dir`, `newer-database`
 */
export function startHomeserver(
  config: HomeserverBootstrap,
  options: { clock?: Clock; log?: Logger } = {},
): Homeserver {
  checkAddress(config);
  const log = options.log ?? createLogger("homeserver");
  const clock = options.clock ?? systemClock;
  const db = openDatabase(config.state_dir);
  const stopping = new AbortController();
  const ctx: Context = {
    serverName: config.server_name,
    config,
    db,
    clock,
    log,
    notifier: new Notifier((roomId) => usersIn(db, roomId, "join")),
    ephemeral: new Ephemeral(),
    limits: new RateLimiter(clock, config.rate_limits),
    counters: new Counters(),
    startedAt: clock.now(),
    stopping: stopping.signal,
  };
  forgetOldTransactions(db, clock);
  const server = listen(config, createRequestHandler(ctx, allRoutes()), () => db.close());
  const { hostname, port } = server.addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `http://${host}:${port}`,
    finished: server.finished,
    get waitingPolls() {
      return ctx.notifier.waiting;
    },
    async close() {
      stopping.abort();
      ctx.notifier.wakeAll();
      ctx.ephemeral.close();
      await server.shutdown();
      db.close();
    },
  };
}

/** Every route there is. */
export function allRoutes(): Routes {
  const routes = new Routes();
  for (
    const add of [
      accountRoutes,
      adminRoutes,
      deviceRoutes,
      discoveryRoutes,
      eventRoutes,
      mediaRoutes,
      operationRoutes,
      relationRoutes,
      roomRoutes,
      serverRoutes,
      userRoutes,
    ]
  ) add(routes);
  return routes;
}

/** A client that repeats a request does it within minutes; a week leaves room for a long outage. */
const TRANSACTION_MS = 7 * 24 * 60 * 60 * 1000;

function forgetOldTransactions(db: Database, clock: Clock): void {
  // Nothing depends on it: a full disk must not keep the server from reading.
  db.write(() => db.run("DELETE FROM transactions WHERE ts < ?", clock.now() - TRANSACTION_MS))
    .catch(() => {});
}

function listen(
  config: HomeserverBootstrap,
  handler: Deno.ServeHandler,
  undo: () => void,
): Deno.HttpServer<Deno.NetAddr> {
  const { hostname, port } = config.listen;
  try {
    return Deno.serve({
      hostname,
      port,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    }, handler as Deno.ServeHandler<Deno.NetAddr>);
  } catch (thrown) {
    undo();
    if (thrown instanceof Deno.errors.AddrInUse) {
      throw new BureauError(
        "port-in-use",
        `Cannot listen on "${hostname}:${port}": the port is in use`,
        {
          hint:
            `stop what uses port ${port}, or choose another: \`deno task up --listen ${hostname}:<port>\``,
          cause: thrown,
        },
      );
    }
    throw new BureauError(
      "cannot-listen",
      `Cannot listen on "${hostname}:${port}": ${messageOf(thrown)}`,
      { cause: thrown },
    );
  }
}

/** There is no TLS here: passwords on a public address would travel in the clear. */
function checkAddress({ listen: { hostname }, allow_public: allowed }: HomeserverBootstrap): void {
  const loopback = hostname === "localhost" || hostname === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(hostname);
  if (loopback || allowed === true) return;
  throw new BureauError(
    "public-address",
    `Cannot listen on "${hostname}": it is not a loopback address and there is no TLS`,
    { hint: "listen on 127.0.0.1 behind a TLS proxy, or set allow_public if you know better" },
  );
}

function openDatabase(stateDir: string): Database {
  try {
    return new Database(`${stateDir}/homeserver.db`);
  } catch (thrown) {
    if (thrown instanceof BureauError) throw thrown;
    throw new BureauError(
      "state-dir",
      `Cannot open "${stateDir}/homeserver.db": ${messageOf(thrown)}`,
      { hint: "the directory must exist and belong to the homeserver's user", cause: thrown },
    );
  }
}
