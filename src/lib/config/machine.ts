// SPDX-License-Identifier: Apache-2.0

/** What a machine's file and environment may say, and what is in force. */
import * as z from "zod/mini";
import { readDocument } from "./document.ts";
import { ConfigError, type Problem } from "./errors.ts";
import { listenOf, MetricsConfig, type MetricsPlace } from "./metrics.ts";
import { NotifyTargets } from "./notify.ts";
import { PeerConfig, type PeerPlaces, peerPlaces } from "./peer.ts";
import { readSecretFile } from "./secret_file.ts";
import { TelemetryConfig, telemetryEnvironment } from "./telemetry.ts";

const HOST_PORT = /^(\[[0-9a-f:]+\]|[^:\s,]+):(\d{1,5})$/i;

function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[2]);
  return port >= 1 && port <= 65_535;
}

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\]):/;

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" && url.pathname === "/" && url.username === "" &&
    url.search === "" && url.hash === "";
}

function isHomeserver(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ["http:", "https:"].includes(url.protocol) && url.username === "" &&
    url.password === "";
}

const text = (why: string, holds: (value: string) => boolean) =>
  z.optional(z.string(why).check(z.refine(holds, why)));
const path = text(
  "takes an absolute path without commas",
  (value) => /^\/[^\n,]*$/.test(value),
);
const address = text("takes HOST:PORT", isHostPort);

/** Of `bureau.yaml`. */
export const MachineConfig = z.object({
  homeserver: text("takes an http(s) URL without a user name", isHomeserver),
  registration_token_file: path,
  listen: address,
  authority: address,
  web: text("takes HOST:PORT of loopback", (value) => isHostPort(value) && LOOPBACK.test(value)),
  web_origin: text("takes https://HOST", isOrigin),
  agent: z.optional(z.boolean("takes true or false")),
  repo: path,
});
export type MachineConfig = z.infer<typeof MachineConfig>;
/** The whole file: settings of `up`, and what neither a flag nor a variable says. */
export const MachineFile = z.object({
  ...MachineConfig.shape,
  notify: z.optional(NotifyTargets),
  peer: z.optional(PeerConfig),
  metrics: z.optional(MetricsConfig),
  telemetry: z.optional(TelemetryConfig),
});

export type SettingName = keyof MachineConfig;

interface Declared {
  /** What says the same to one start of `up`. */
  readonly flag: string;
  readonly brief: string;
  /** For people. */
  readonly default: string;
  readonly example: string;
}

export const SETTINGS: Readonly<Record<SettingName, Declared>> = {
  homeserver: {
    flag: "--homeserver URL",
    brief: "the Matrix homeserver to use instead of the embedded one",
    default: "the embedded one",
    example: "https://matrix.example.org",
  },
  registration_token_file: {
    flag: "--registration-token-file PATH",
    brief:
      "a file with that homeserver's registration token; in `bureau.yaml` one below the state directory, where `up` may read",
    default: "none",
    example: "/var/lib/bureau/operator/registration-token",
  },
  listen: {
    flag: "--listen HOST:PORT",
    brief: "where the embedded homeserver listens",
    default: "127.0.0.1:6167",
    example: "127.0.0.1:6167",
  },
  authority: {
    flag: "--authority HOST:PORT",
    brief: "where the example's timestamp authority listens",
    default: "127.0.0.1:6168",
    example: "127.0.0.1:6168",
  },
  web: {
    flag: "--web HOST:PORT",
    brief: "where the web page listens, on loopback",
    default: "127.0.0.1:6169, or a free port",
    example: "127.0.0.1:6169",
  },
  web_origin: {
    flag: "--web-origin URL",
    brief: "the address of a reverse proxy in front of the web page",
    default: "none",
    example: "https://bureau.example.org",
  },
  agent: {
    flag: "--no-agent",
    brief: "whether there is an example agent",
    default: "true",
    example: "false",
  },
  repo: {
    flag: "--repo PATH",
    brief: "the git repository on which the example agent reports",
    default: "the checkout",
    example: "/srv/git/example",
  },
};

export const settingNames = Object.keys(SETTINGS) as readonly SettingName[];

/** `BUREAU_REGISTRATION_TOKEN_FILE` of `registration_token_file`. */
export const variableOf = (name: SettingName): string => `BUREAU_${name.toUpperCase()}`;

/** A setting that somebody made. */
export interface Setting {
  readonly value: string | boolean;
  /** `<file>:<line>:<column>`, or the variable's name. */
  readonly from: string;
}

export type Settings = Partial<Record<SettingName, Setting>>;

export interface ConfigSources {
  /** Absent: there is no file. */
  readonly file?: { readonly path: string; readonly text: string } | null;
  /** `BUREAU_…` by name; an empty one says nothing. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Below it a token file must lie that `bureau.yaml` names. */
  readonly stateDir: string;
}

/** @throws {ConfigError} with every mistake of file and environment */
export function readSettings({ file, environment = {}, stateDir }: ConfigSources): Settings {
  const settings: Settings = {};
  const problems: Problem[] = [];
  try {
    Object.assign(settings, fromFile(file ?? null, stateDir));
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    problems.push(...thrown.problems);
  }
  for (const name of settingNames) {
    const variable = variableOf(name);
    const given = environment[variable];
    if (given === undefined || given === "") continue;
    const value = name === "agent" ? BOOLEANS.get(given) ?? given : given;
    const parsed = z.safeParse(MachineConfig, { [name]: value });
    if (parsed.success) settings[name] = { value, from: variable };
    else {problems.push({
        where: variable,
        setting: name,
        message: parsed.error.issues[0]!.message,
      });}
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

function fromFile(
  file: { readonly path: string; readonly text: string } | null,
  stateDir: string,
): Settings {
  if (file === null) return {};
  const { values, places } = readDocument(file.text, file.path, MachineFile);
  const settings: Settings = {};
  for (const name of settingNames) {
    const value = values[name];
    if (value !== undefined) settings[name] = { value, from: places.get(name)! };
  }
  const token = settings.registration_token_file;
  if (token !== undefined && !isBelow(String(token.value), stateDir)) {
    const message =
      `must be below "${stateDir}": \`up\` may read nothing else that no argument names`;
    throw new ConfigError([{ where: token.from, setting: "registration_token_file", message }]);
  }
  const at = (name: string) => places.get(name) ?? file.path;
  const secrets = (values.notify ?? []).map((target) => target.key_file ?? target.token_file);
  secretsBelow("notify", secrets, at("notify"), stateDir);
  secretsBelow("metrics", [values.metrics?.token_file], at("metrics"), stateDir);
  return settings;
}

/** @throws {ConfigError} */
function secretsBelow(
  setting: string,
  paths: readonly (string | undefined)[],
  where: string,
  stateDir: string,
): void {
  for (const path of paths) {
    if (path === undefined || isBelow(path, `${stateDir}/operator`)) continue;
    const message = `key_file and token_file must be below "${stateDir}/operator"`;
    throw new ConfigError([{ where, setting, message }]);
  }
}

/**
 * Whom to tell when an agent needs a person.
 * @throws {ConfigError} with every mistake of the file
 */
export function readNotify({ file, stateDir }: ConfigSources): NotifyTargets {
  if (!file) return [];
  fromFile(file, stateDir);
  return readDocument(file.text, file.path, MachineFile).values.notify ?? [];
}

/** Where other machines reach this one; null: nowhere. @throws {ConfigError} as `readNotify` */
export function readPeer({ file, stateDir }: ConfigSources): PeerPlaces | null {
  if (!file) return null;
  fromFile(file, stateDir);
  const { peer } = readDocument(file.text, file.path, MachineFile).values;
  return peer === undefined ? null : peerPlaces(peer);
}

/** Where metrics are told, with the token itself; null: nowhere. @throws {ConfigError} as `readNotify` */
export function readMetricsPlace({ file, stateDir }: ConfigSources): MetricsPlace | null {
  if (!file) return null;
  fromFile(file, stateDir);
  const { metrics } = readDocument(file.text, file.path, MachineFile).values;
  if (metrics === undefined) return null;
  const token = readSecretFile(metrics.token_file, "metrics");
  return { listen: listenOf(metrics.listen), token };
}

/** The daemon's environment for its spans; empty: it makes none. @throws {ConfigError} as `readNotify` */
export function readTelemetry({ file, stateDir }: ConfigSources): Record<string, string> {
  if (!file) return {};
  fromFile(file, stateDir);
  const { telemetry } = readDocument(file.text, file.path, MachineFile).values;
  return telemetry === undefined ? {} : telemetryEnvironment(telemetry);
}

function isBelow(path: string, dir: string): boolean {
  return path.startsWith(`${dir.replace(/\/+$/, "")}/`) && !path.split("/").includes("..");
}

/** What `bureau config init` writes: every setting, with its default, as a comment. */
export function configTemplate(): string {
  const lines = [
    "# What `sh tasks/up` starts on this machine. A flag of `up` comes before a variable of the environment, and that before",
    "# what stands here. `bureau config check` tries this file, `bureau config show` says what is in force.",
  ];
  for (const name of settingNames) {
    const { brief, default: usual, example } = SETTINGS[name];
    lines.push("", `# ${brief} (default: ${usual}; ${variableOf(name)})`, `# ${name}: ${example}`);
  }
  lines.push(
    "",
    "# whom to tell when an agent needs a person (default: nobody; docs/guide/attention.md)",
    "# notify:",
    "#   - matrix: true",
    "#   - ntfy: https://ntfy.sh/a-topic-that-nobody-guesses",
    "#     states: [failed, waiting-approval, waiting-input]",
    "",
    "# where the fleet's other machines reach this one (default: nowhere; docs/guide/watching.md)",
    "# peer:",
    "#   listen: 192.0.2.7:6170",
    "",
    "# where a Prometheus of this machine scrapes (default: nowhere; docs/guide/metrics.md)",
    "# metrics:",
    "#   listen: 127.0.0.1:9468",
    "#   token_file: /var/lib/bureau/operator/metrics-token",
    "",
    "# the collector that the daemon's spans go to, by OTLP over HTTP (default: nowhere; docs/guide/metrics.md)",
    "# telemetry:",
    "#   endpoint: http://127.0.0.1:4318",
  );
  return lines.join("\n") + "\n";
}
