// SPDX-License-Identifier: Apache-2.0

/**
 * Tests: a daemon's parts through a day that passes by hand: ten callers with two roles each, whose tokens are made anew
 * every four minutes; rights and bindings that change and sandboxes that start anew every hour; the heartbeat; one
 * principal that can't be started and one that ends and ends. Prints what is held after two hours and after the day.
 * Needs `--v8-flags=--expose-gc`.
 */
import type { Client } from "../../lib/http/mod.ts";
import { noPolicy } from "../../lib/authorization/mod.ts";
import { createLogger } from "../../lib/log.ts";
import type { Localpart } from "../../lib/ref/mod.ts";
import { type Assignment, EventType, type Template } from "../../lib/schema/mod.ts";
import { noEgress } from "../../lib/template/mod.ts";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import type { launcherApi, Principal as Status } from "../../launcher/api.ts";
import { type Content, type MatrixClient, RoomStates } from "../../messaging/mod.ts";
import type { DaemonBootstrap } from "../api.ts";
import type { Evaluation } from "../desired.ts";
import { localGates } from "../egress/gates.ts";
import { beat } from "../heartbeat/heartbeat.ts";
import { ManagedPrincipal } from "../principal.ts";
import type { StatusPublisher } from "../publisher.ts";
import { Services } from "../services/mod.ts";
import { Spending } from "../spending.ts";

const SERVER = "bureau.local";
const FLEET = "bureau/fleet/dev";
const MACHINE = `@${FLEET}/machine/one:${SERVER}`;
const ADMIN = `@operator:${SERVER}`;
const ROLES = ["echo", "ticket"] as const;
const CALLERS = 10;
const HOUR = 3_600_000;

export interface Held {
  readonly heap: number;
  readonly descriptors: number;
  readonly sleepers: number;
  readonly files: number;
  readonly tokens: number;
}

const gc = (globalThis as { gc?: () => void }).gc!;
const log = createLogger("day", {}, () => {});
const clock = new HandClock(1_800_000_000_000);
const stop = new AbortController();
const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-day" });
const bootstrap: DaemonBootstrap = {
  ...{ version: 1, homeserver_url: "http://127.0.0.1:1", user_id: MACHINE, access_token: "t" },
  ...{ server_name: SERVER, namespace: "bureau", fleet: FLEET, admins: [ADMIN] },
  ...{ run_dir: dir, state_dir: `${dir}/state`, launcher_socket: `${dir}/none` },
};

const states = new RoomStates();
let event = 0;
function say(room: string, type: string, key: string, sender: string, content: Content): void {
  const event_id = `$${event++}`;
  states.apply(room, { type, state_key: key, sender, content, event_id, origin_server_ts: 0 });
}
const client = {
  resolveAlias: () => Promise.resolve("!machines"),
  join: (room: string) => Promise.resolve(room),
  getState: () => Promise.resolve(null),
  putState: (room: string, type: string, key: string, content: Content) => {
    say(room, type, key, MACHINE, content);
    return Promise.resolve("$e");
  },
} as unknown as MatrixClient;

/** As the launcher has it: a sandbox that started at this time. */
function cellOf(localpart: string, hash: string): Status {
  return {
    ...{ principal: localpart, user_id: `@${localpart}:${SERVER}`, hash, phase: "running" },
    ...{ issued_at: 1, spec_digest: "s", credentials_digest: null, started_at: clock.now() },
    ...{ exit: null, proxy: { ready: true, restarts: 0 }, message: null, revision: 1 },
  } as Status;
}

const evaluation: Evaluation = {
  desired: {
    ...{ want: "running", issuedAt: 1, generation: "g", credentials: null },
    ...{ restartPolicy: "always", problem: null },
  },
  assignment: { desired: "running", issued_at: 1 } as unknown as Assignment,
  template: { required_services: [...ROLES] } as Template,
  credentials: null,
  policy: noPolicy,
  egress: noEgress,
  rooms: new Set(),
  trigger: null,
};
const granted = (action: string): Evaluation => ({
  ...evaluation,
  policy: { ...noPolicy, grants: [{ actions: [action], source: "assignment" }] },
});

const callers = Array.from({ length: CALLERS }, (_, n) => {
  const localpart = `${FLEET}/agent/a${n}` as Localpart;
  return {
    ...{ localpart, userId: `@${localpart}:${SERVER}`, isLive: true },
    evaluation: granted("service/echo/say"),
    status: cellOf(localpart, `h${n}`),
  };
});

const launcher = {
  call: (route: string) =>
    route === "usage"
      ? Promise.resolve({ cpu_ms: 1, memory_bytes: 1 })
      : Promise.reject(new Error(`no ${route}`)),
} as unknown as Client<typeof launcherApi>;

function managed(name: string, next: Evaluation, ends: boolean): ManagedPrincipal {
  const localpart = `${FLEET}/agent/${name}` as Localpart;
  let revision = 1;
  const call = (route: string) =>
    Promise.resolve(
      route === "create"
        ? {
          ...cellOf(localpart, name),
          ...{ phase: "exited", revision: ++revision },
          exit: { code: 0, signal: null, at: clock.now() + 1, output: [] },
        }
        : { removed: true, revision: ++revision },
    );
  const principal = new ManagedPrincipal(localpart, `@${localpart}:${SERVER}`, {
    launcher: (ends ? { call } : launcher) as unknown as Client<typeof launcherApi>,
    publisher: { publish: () => {}, published: () => null } as unknown as StatusPublisher,
    evaluate: () => Promise.resolve(next),
    ...{ runDir: "/nonexistent", clock, log, gates: localGates, spending },
    asks: {
      ask: () => Promise.reject(new Error("not needed")),
      extend: (_, rights) => rights,
      settle: () => {},
    },
    onIdle: () => {},
    onRefused: () => {},
  });
  principal.setStatus(null, 1);
  principal.reevaluate();
  return principal;
}

async function makeDirectory(hash: string): Promise<void> {
  await Deno.mkdir(`${dir}/p/${hash}/service`, { recursive: true });
}

async function filesBelow(path: string): Promise<number> {
  let count = 0;
  for await (const entry of Deno.readDir(path)) {
    count += entry.isDirectory ? await filesBelow(`${path}/${entry.name}`) : 1;
  }
  return count;
}

let tokens = 0;
const seen = new Map<string, string>();
async function countTokens(): Promise<void> {
  for (const { status } of callers) {
    const path = `${dir}/p/${status.hash}/service/token/echo.token`;
    const text = await Deno.readTextFile(path).catch(() => "");
    if (text === "" || seen.get(status.hash) === text) continue;
    seen.set(status.hash, text);
    tokens++;
  }
}

/** Each part sleeps once when it has nothing to do. */
const SLEEPERS = 4;
async function settled(): Promise<void> {
  const end = Date.now() + 60_000;
  while (clock.sleepers !== SLEEPERS) {
    if (Date.now() > end) throw new Error(`${clock.sleepers} sleep instead of ${SLEEPERS}`);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

async function held(): Promise<Held> {
  for (let n = 0; n < 5; n++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    heap: Deno.memoryUsage().heapUsed,
    descriptors: [...Deno.readDirSync("/proc/self/fd")].length,
    sleepers: clock.sleepers,
    files: await filesBelow(`${dir}/p`),
    tokens,
  };
}

async function change(hour: number): Promise<void> {
  const caller = callers[hour % CALLERS]!;
  // A sandbox that started anew, in a directory of its own.
  const { hash } = caller.status;
  await Deno.remove(`${dir}/p/${hash}`, { recursive: true });
  seen.delete(hash);
  const fresh = `h${hour % CALLERS}x${hour}`;
  await makeDirectory(fresh);
  caller.status = cellOf(caller.localpart, fresh);
  const other = callers[(hour + 1) % CALLERS]!;
  other.evaluation = granted(hour % 2 === 0 ? "service/echo/listen" : "service/**");
  const service = `@${FLEET}/service/${hour % 2 === 0 ? "one" : "two"}:${SERVER}`;
  say("!config", EventType.serviceBinding, "ticket", ADMIN, { version: 1, principal: service });
}

for (const folder of ["state", "p"]) await Deno.mkdir(`${dir}/${folder}`);
for (const { status } of callers) await makeDirectory(status.hash);
const spending = new Spending({ stateDir: `${dir}/state`, clock, log, onReached: () => {} });
try {
  say("!config", "m.room.power_levels", "", ADMIN, { users: { [ADMIN]: 100 } });
  for (const role of ROLES) {
    const principal = `@${FLEET}/service/one:${SERVER}`;
    say("!config", EventType.serviceBinding, role, ADMIN, { version: 1, principal });
  }
  const services = new Services({
    ...{ bootstrap, client, launcher, clock, log, signal: stop.signal },
    trust: { states, machine: MACHINE, admins: [ADMIN] },
    principals: () => callers as unknown as Iterable<ManagedPrincipal>,
    configRoom: () => "!config",
    openRoom: (alias) => Promise.resolve(alias.startsWith("#bureau/system") ? "!sys" : "!svc"),
    say: () => {},
  });
  const problem = { code: "template-missing", message: "m" };
  const unready = { ...evaluation, desired: { ...evaluation.desired, problem } };
  const kept = [managed("unready", unready, false), managed("ends", evaluation, true)];
  beat({
    ...{ bootstrap, client, launcher, clock, log, signal: stop.signal, version: "0" },
    principals: () => callers,
    random: () => 0,
  });
  services.look();
  await settled();
  const start = clock.now();
  const results: Held[] = [];
  for (let hour = 0; hour < 24; hour++) {
    if (hour === 2) results.push(await held());
    await change(hour);
    services.look();
    while (clock.now() < start + (hour + 1) * HOUR) {
      await clock.next();
      await settled();
      await countTokens();
    }
  }
  results.push(await held());
  for (const principal of kept) principal.close();
  stop.abort();
  await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(JSON.stringify({ results, left: clock.sleepers }));
} finally {
  await spending.close();
  await Deno.remove(dir, { recursive: true });
}
Deno.exit(0);
