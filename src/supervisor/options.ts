// SPDX-License-Identifier: Apache-2.0

/** What `up` was asked for. Directories are always given by `tasks/lib.sh`, the one place that knows defaults. */
import type { CgroupPlace } from "../launcher/api.ts";
import { configPath, readSettings, type SettingName, type Settings } from "../lib/config/mod.ts";
import { SupervisorError } from "./errors.ts";

export interface HostPort {
  readonly hostname: string;
  readonly port: number;
}

export interface UpOptions {
  readonly stateDir: string;
  readonly runDir: string;
  /** The checkout's built runtime (`dist/runtime`). */
  readonly distDir: string;
  /** Source repository of the example agent's workspace. */
  readonly repo: string;
  /** An existing homeserver; null: the embedded one. */
  readonly homeserver: string | null;
  readonly registrationTokenFile: string | null;
  /** Boot file of a fleet to join. */
  readonly joinFile: string | null;
  readonly listen: HostPort;
  readonly authority: HostPort;
  /** Of the web page, on loopback; null: a port that is free. */
  readonly web: HostPort | null;
  /** Of reverse proxies in front of the web page. */
  readonly webOrigins: readonly string[];
  readonly agent: boolean;
  readonly mode: "foreground" | "detach" | "background" | "down";
  /** Each process appends the permissions it used to `<dir>/<role>.jsonl` (Deno's audit log). */
  readonly auditDir: string | null;
  /** Digest of the release that everything is started from; null: the checkout's build. */
  readonly release: string | null;
  /** Made by `tasks/up` for the launcher; null: none. */
  readonly cgroups: CgroupPlace | null;
  readonly help: boolean;
}

export const USAGE = `Usage: deno task up [options]

Starts Bureau on this machine: homeserver, launcher, daemon, and an example agent.

  --repo PATH               git repository the example agent reports on (default: this checkout)
  --detach                  start in the background and return when everything is up
  --down                    stop a running Bureau and every agent (same as \`deno task down\`)
  --homeserver URL          use this Matrix homeserver instead of the embedded one
  --registration-token-file PATH
                            file with the registration token of that homeserver
  --join FILE               join a fleet with a boot file of \`bureau machine provision\`; needed once
  --listen HOST:PORT        where the embedded homeserver listens (default 127.0.0.1:6167)
  --authority HOST:PORT     where the example's timestamp authority listens (default 127.0.0.1:6168)
  --web HOST:PORT           where the web page listens, on loopback (default 127.0.0.1:6169, or a free port)
  --web-origin URL          the address of a reverse proxy in front of the web page
  --no-agent                without the example agent
  --state-dir DIR           where state lives
  --run-dir DIR             where sockets live (a short path)
  --audit-dir DIR           log every permission that a process uses, for comparing with its set
  --help                    this text

Most of this may stand in <state-dir>/operator/bureau.yaml, or in variables such as BUREAU_LISTEN: see \`bureau config\`.
`;

const WITH_VALUE = new Set([
  "--state-dir",
  "--run-dir",
  "--dist-dir",
  "--repo",
  "--checkout",
  "--homeserver",
  "--registration-token-file",
  "--join",
  "--listen",
  "--authority",
  "--web",
  "--web-origin",
  "--audit-dir",
  "--cgroups",
  // By tasks/up, of the person's environment: our own is empty.
  "--env",
  // Given by the supervisor that hands over to this one.
  "--release",
]);
const SWITCHES = new Set(["--detach", "--background", "--down", "--no-agent", "--help", "-h"]);

/**
 * Flags, then the environment (`--env`), then the machine's file, then what is usual.
 * @param readFile the text of a file, or null where there is none
 * @throws {SupervisorError} `usage` naming the offending argument; `ConfigError`
 */
export function parseOptions(
  args: readonly string[],
  readFile: (path: string) => string | null = () => null,
): UpOptions {
  const environment: Record<string, string> = {};
  const values = new Map<string, string>();
  const switches = new Set<string>();
  for (let index = 0; index < args.length; index++) {
    const [name, inline] = splitAssignment(args[index]!);
    if (SWITCHES.has(name) && inline === null) {
      switches.add(name === "-h" ? "--help" : name);
    } else if (WITH_VALUE.has(name)) {
      const value = inline ?? args[++index];
      if (value === undefined || value === "") throw usage(`${name} needs a value`);
      if (name === "--env") Object.assign(environment, variable(value));
      else values.set(name, value);
    } else {
      throw usage(`"${args[index]}" is not an option`);
    }
  }
  const required = (name: string): string => {
    const value = values.get(name);
    if (value === undefined) throw usage(`${name} is missing`);
    return value;
  };
  const stateDir = absolute("--state-dir", required("--state-dir"));
  const settings = switches.has("--down") || switches.has("--help")
    ? {}
    : machineSettings(stateDir, environment, readFile);
  const said = (name: SettingName): string | undefined => {
    const flag = values.get(`--${name.replaceAll("_", "-")}`);
    const value = settings[name]?.value;
    return flag ?? (typeof value === "string" ? value : undefined);
  };
  const tokenFile = said("registration_token_file");
  return {
    stateDir,
    runDir: absolute("--run-dir", required("--run-dir")),
    distDir: absolute("--dist-dir", required("--dist-dir")),
    repo: absolute("--repo", said("repo") ?? required("--checkout")),
    homeserver: homeserverUrl(said("homeserver")),
    registrationTokenFile: tokenFile === undefined
      ? null
      : absolute("--registration-token-file", tokenFile),
    joinFile: values.has("--join") ? absolute("--join", values.get("--join")!) : null,
    listen: hostPort("--listen", said("listen") ?? "127.0.0.1:6167"),
    authority: hostPort("--authority", said("authority") ?? "127.0.0.1:6168"),
    web: said("web") === undefined ? null : loopback("--web", said("web")!),
    webOrigins: webOrigins(said("web_origin")),
    agent: !switches.has("--no-agent") && settings.agent?.value !== false,
    mode: switches.has("--down")
      ? "down"
      : switches.has("--background")
      ? "background"
      : switches.has("--detach")
      ? "detach"
      : "foreground",
    auditDir: values.has("--audit-dir")
      ? absolute("--audit-dir", values.get("--audit-dir")!)
      : null,
    cgroups: values.has("--cgroups") ? cgroupPlace(values.get("--cgroups")!) : null,
    release: values.get("--release") ?? null,
    help: switches.has("--help"),
  };
}

function machineSettings(
  stateDir: string,
  environment: Readonly<Record<string, string>>,
  readFile: (path: string) => string | null,
): Settings {
  const path = configPath(stateDir);
  const text = readFile(path);
  return readSettings({
    file: text === null ? null : { path, text },
    environment,
    stateDir,
  });
}

/** `NAME=VALUE`. */
function variable(text: string): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw usage("--env takes NAME=VALUE");
  return { [text.slice(0, at)]: text.slice(at + 1) };
}

function splitAssignment(argument: string): [string, string | null] {
  const at = argument.indexOf("=");
  return at > 0 && argument.startsWith("--")
    ? [argument.slice(0, at), argument.slice(at + 1)]
    : [argument, null];
}

function usage(why: string): SupervisorError {
  return new SupervisorError("usage", `Cannot start: ${why}`, {
    hint: "see `deno task up --help`",
  });
}

function absolute(name: string, path: string): string {
  if (!path.startsWith("/") || /[\n,]/.test(path)) {
    throw usage(`${name} must be an absolute path without commas: "${path}"`);
  }
  return path.replace(/(?<=.)\/+$/, "");
}

/** As `make_cgroups` in tasks/lib.sh writes it: `1:memory=/sys/…,pids=/sys/…`. */
function cgroupPlace(text: string): CgroupPlace {
  const [, version, list] = /^([12]):(.+)$/.exec(text) ?? [];
  const dirs = Object.fromEntries(
    (list ?? "").split(",").flatMap((pair) => {
      const [, name, path] = /^([a-z]+)=(\/sys\/fs\/cgroup\/[^,]+)$/.exec(pair) ?? [];
      return name === undefined ? [] : [[name, path!]];
    }),
  );
  if (version === undefined || Object.keys(dirs).length === 0) {
    throw usage(`--cgroups takes VERSION:CONTROLLER=DIRECTORY,…, not "${text}"`);
  }
  return { version: version === "1" ? 1 : 2, dirs };
}

function hostPort(name: string, text: string): HostPort {
  const match = /^(\[[0-9a-f:]+\]|[^:\s]+):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw usage(`${name} takes HOST:PORT, not "${text}"`);
  }
  return { hostname: match[1]!, port };
}

/** Beyond this machine it is TLS, which is `bureau web --lan`, or a reverse proxy. */
function loopback(name: string, text: string): HostPort {
  const at = hostPort(name, text);
  const hostname = at.hostname.replace(/^\[|\]$/g, "");
  if (!["127.0.0.1", "::1", "localhost"].includes(hostname)) {
    throw usage(`${name} takes an address of loopback, not "${text}"`);
  }
  return { hostname, port: at.port };
}

function webOrigins(text: string | undefined): string[] {
  if (text === undefined) return [];
  const url = URL.parse(text);
  if (url === null || url.protocol !== "https:" || url.pathname !== "/" || url.username !== "") {
    throw usage(`--web-origin takes https://HOST, not "${text}"`);
  }
  return [url.origin];
}

function homeserverUrl(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "") {
    throw usage(`--homeserver takes an http(s) URL, not "${text}"`);
  }
  return url.href.replace(/\/+$/, "");
}
