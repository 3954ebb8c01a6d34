// SPDX-License-Identifier: Apache-2.0

/**
 * The homeserver that the suites run against. `BUREAU_TEST_HOMESERVER` chooses it: `embedded` (the default),
 * `synapse` (from PyPI), `synapse-postgres` (as deploy/compose has it, without containers), `docker` (deploy/compose),
 * or the URL of one that runs already.
 */
import { SECRET, Server } from "../../src/homeserver/_process.ts";
import { skip } from "../e2e/harness.ts";
import { openCompose } from "./compose.ts";
import { openDeployedSynapse } from "./deployed.ts";
import {
  type Account,
  makeRegistrationToken,
  registerWithSecret,
  registerWithToken,
} from "./registration.ts";
import { openSynapse } from "./synapse.ts";

const KINDS = ["embedded", "synapse", "synapse-postgres", "docker"] as const;
export type Kind = (typeof KINDS)[number] | "url";

export interface TestHomeserver extends AsyncDisposable {
  readonly kind: Kind;
  readonly url: string;
  readonly serverName: string;
  /** May be used without end. */
  readonly registrationToken: string;
  /** Of an account that may use the `/_synapse/admin` API; null where there is none. */
  readonly adminToken: string | null;
  /** A new account; its localpart begins with `name` and is nobody else's. */
  registerUser(name: string): Promise<Account>;
  close(): Promise<void>;
}

/** Why there is no such homeserver here, to be printed by the test that skips. */
export interface Unavailable {
  readonly reason: string;
}

/** What a way of starting one has to give; the rest is the same for all. */
export interface Started {
  readonly url: string;
  readonly registrationToken?: string;
  readonly sharedSecret?: string;
  close(): Promise<void>;
}

/** @throws Error when the variable's value is none of them */
export function chosenHomeserver(): { kind: Kind; url: string | null } {
  const value = Deno.env.get("BUREAU_TEST_HOMESERVER") ?? "";
  if (value === "") return { kind: "embedded", url: null };
  const kind = KINDS.find((kind) => kind === value);
  if (kind !== undefined) return { kind, url: null };
  const url = URL.parse(value);
  if (url !== null && /^https?:$/.test(url.protocol)) {
    return { kind: "url", url: url.href.replace(/\/+$/, "") };
  }
  throw new Error(
    `BUREAU_TEST_HOMESERVER is ${KINDS.join(", ")} or a URL, not "${value}"`,
  );
}

/** Starts or finds the homeserver of that kind. */
export async function openHomeserver(
  kind: Kind = chosenHomeserver().kind,
): Promise<TestHomeserver | Unavailable> {
  const started = await open(kind);
  if ("reason" in started) return started;
  try {
    return await complete(kind, started);
  } catch (thrown) {
    await started.close();
    throw thrown;
  }
}

/** Runs `use` with a homeserver, or reports why there is none. @returns whether it ran */
export async function withHomeserver(
  t: Deno.TestContext,
  use: (homeserver: TestHomeserver) => Promise<void>,
  kind?: Kind,
): Promise<boolean> {
  const homeserver = await openHomeserver(kind);
  if ("reason" in homeserver) {
    await skip(t, homeserver.reason);
    return false;
  }
  try {
    await use(homeserver);
    return true;
  } finally {
    await homeserver.close();
  }
}

function open(kind: Kind): Promise<Started | Unavailable> {
  switch (kind) {
    case "embedded":
      return openEmbedded();
    case "synapse":
      return openSynapse();
    case "synapse-postgres":
      return openDeployedSynapse();
    case "docker":
      return openCompose();
    case "url":
      return openUrl();
  }
}

async function openEmbedded(): Promise<Started> {
  const fast = { per_second: 10_000, burst: 10_000 };
  const server = await Server.start({
    server_name: "example.test",
    rate_limits: { login: fast, register: fast, write: fast },
  });
  return {
    url: server.url,
    sharedSecret: SECRET,
    close: () => server[Symbol.asyncDispose](),
  };
}

/** Secrets come from files: an environment is readable by more than its owner thinks. */
async function openUrl(): Promise<Started | Unavailable> {
  const { url } = chosenHomeserver();
  if (url === null) return { reason: "BUREAU_TEST_HOMESERVER holds no URL" };
  const read = async (name: string) => {
    const path = Deno.env.get(name);
    return path === undefined ? undefined : (await Deno.readTextFile(path)).trim();
  };
  const registrationToken = await read("BUREAU_TEST_REGISTRATION_TOKEN_FILE");
  const sharedSecret = await read("BUREAU_TEST_REGISTRATION_SECRET_FILE");
  if (registrationToken === undefined && sharedSecret === undefined) {
    throw new Error(
      `Cannot make accounts at ${url}: give BUREAU_TEST_REGISTRATION_TOKEN_FILE or ` +
        "BUREAU_TEST_REGISTRATION_SECRET_FILE",
    );
  }
  return {
    url,
    ...(registrationToken === undefined ? {} : { registrationToken }),
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
    close: () => Promise.resolve(),
  };
}

/** What every kind has beside its URL. */
export async function complete(kind: Kind, started: Started): Promise<TestHomeserver> {
  const { url, sharedSecret } = started;
  const admin = sharedSecret === undefined
    ? null
    : await registerWithSecret(url, unique("admin"), sharedSecret, true);
  const registrationToken = started.registrationToken ??
    await makeRegistrationToken(url, admin!.token);
  const registerUser = (name: string) => registerWithToken(url, unique(name), registrationToken);
  const { id } = admin ?? await registerUser("probe");
  const close = started.close;
  return {
    kind,
    url,
    serverName: id.slice(id.indexOf(":") + 1),
    registrationToken,
    adminToken: admin?.token ?? null,
    registerUser,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Somebody else's accounts and an earlier run's are on the same homeserver. */
function unique(name: string): string {
  return `${name}-${crypto.getRandomValues(new Uint8Array(5)).toHex()}`;
}
