// SPDX-License-Identifier: Apache-2.0

/**
 * What a run with `--allow-host` has beside its sandbox: a gate in a cell with the machine's network, and a proxy
 * that holds its credentials. Both die with this launcher; their sockets lie in a directory that whoever
 * started us made, and removes.
 */
import { egressAuthorization } from "../../lib/authorization/egress.ts";
import { createLogger } from "../../lib/log.ts";
import type { ResolvedSpec } from "../../lib/template/mod.ts";
import type { EgressAuthority, ProxyBootstrap } from "../../proxy/api.ts";
import type { GateBootstrap, SandboxRequest } from "../api.ts";
import { caBundle } from "../ca_bundle.ts";
import { startServiceCell } from "../cells.ts";
import { directoriesOf, makeDirectories } from "../directories.ts";
import { egressAuthority } from "../egress_authority.ts";
import type { Look } from "../look.ts";
import { bindPlaceholders, type Placeholders } from "../placeholders.ts";

/** Of a principal that no homeserver knows. */
const NAME = "sandbox/run";
const HASH = "run";

/** Holds secrets. */
export interface BoundNetwork {
  readonly placeholders: Placeholders["bound"];
  readonly authority: EgressAuthority;
  readonly environment: Readonly<Record<string, string>>;
  readonly contract: readonly (readonly [name: string, text: string])[];
}

/**
 * Everything is of this run alone: its authority and placeholders come from a key that nobody keeps.
 * @throws {LauncherError} naming the credential that can't be used
 */
export async function bindNetwork(
  look: Look,
  spec: ResolvedSpec,
  request: SandboxRequest,
): Promise<BoundNetwork> {
  const { credentials = {}, ca } = request.network ?? {};
  const key = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const bundle = {
    version: 1 as const,
    principal: NAME,
    credentials: Object.fromEntries(
      Object.entries(credentials).map((
        [name, credential],
      ) => [name, { ...credential, ...(ca === undefined ? {} : { ca }) }]),
    ),
  };
  const placeholders = await bindPlaceholders(spec, bundle, key, NAME);
  const authority = await egressAuthority(key, NAME);
  const certificates = await caBundle(look, [authority.certificate, ca ?? ""].join("\n"));
  return {
    placeholders: placeholders.bound,
    authority,
    environment: placeholders.environment,
    contract: certificates === null ? [] : [["ca-bundle.pem", certificates]],
  };
}

export interface RunNetwork {
  /** Host directory with `proxy.sock` and its kin. */
  readonly agentDir: string;
  /** By line for a person: what was asked for in vain, with how often. */
  readonly refused: ReadonlyMap<string, number>;
}

/**
 * @param runtimeDir holds `deno` and the bundles
 * @throws {LauncherError} when a cell doesn't start
 */
export async function startNetwork(
  runDir: string,
  runtimeDir: string,
  spec: ResolvedSpec,
  bound: BoundNetwork,
): Promise<RunNetwork> {
  const log = createLogger("sandbox run");
  await makeDirectories(runDir, HASH, NAME);
  const dirs = directoriesOf(runDir, HASH);
  const refused = new Map<string, number>();
  const { allow, deny, requests } = spec.egress;
  const gate: GateBootstrap = { principal: NAME, allow: [...allow], deny: [...deny] };
  const egress = { source: dirs.egress, dest: "/run/bureau/egress" };
  await startServiceCell("gate", runtimeDir, [egress], gate, (line) => noteRefusal(refused, line));
  const { grants, denials } = egressAuthorization({
    allow,
    ask: [],
    narrowed: [],
    reserved: [],
    explicit: [],
  });
  const proxy: ProxyBootstrap = {
    version: 1,
    principal: NAME,
    server_name: "localhost",
    fleet: "sandbox",
    machine: "localhost",
    room: null,
    matrix: null,
    services: {},
    placeholders: [...bound.placeholders],
    egress_authority: bound.authority,
    egress: { allow: [...requests.allow], deny: [...requests.deny] },
    // What its policy doesn't name is refused by the gate, where it is counted.
    grants: [...grants, { actions: ["forward/*/*"] }],
    denials,
  };
  await startServiceCell(
    "proxy",
    runtimeDir,
    [
      { source: dirs.agent, dest: "/run/bureau/agent" },
      { source: dirs.admin, dest: "/run/bureau/admin" },
      egress,
    ],
    proxy,
    (line) => {
      if (line.includes('"level":"error"')) log.error("proxy says", { line });
    },
  );
  return { agentDir: dirs.agent, refused };
}

/** Reads the gate's own log line about a destination. */
function noteRefusal(refused: Map<string, number>, line: string): void {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    return;
  }
  const { msg, verdict, target: asked, code, why } = entry;
  if (msg !== "egress" || verdict !== "refused" || typeof asked !== "string") return;
  const shown = asked.endsWith(":443") ? asked.slice(0, -4) : asked;
  const target = code === "egress-refused"
    ? `refused ${asked}; to allow it: --allow-host ${shown}`
    : String(why);
  // A program in a loop, or one that tries names at random, is not to fill our memory.
  if (refused.size < 100 || refused.has(target)) {
    refused.set(target, (refused.get(target) ?? 0) + 1);
  }
}

/** What a person reads when the program has ended. */
export function refusalLines(refused: ReadonlyMap<string, number>): string[] {
  return [...refused].map(([line, times]) =>
    `bureau: ${line}${times === 1 ? "" : ` (${times} times)`}`
  );
}
