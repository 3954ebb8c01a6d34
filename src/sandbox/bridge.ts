// SPDX-License-Identifier: Apache-2.0

/**
 * A bridge in a plan: Bureau's runtime, read-only, a command that starts the bridge before the agent, and
 * the variables by which programs find it.
 */
import { denoArguments } from "../lib/process/mod.ts";
import { SandboxError } from "./errors.ts";
import type { SandboxPlan } from "./plan_parts.ts";

export const BRIDGE_URL = "http://127.0.0.1:8642";
/** The system's certificates and the authority of the principal's own proxy. */
export const CA_BUNDLE = "/run/bureau/contract/ca-bundle.pem";
const RUNTIME = "/opt/bureau";

/** Who reads which: curl, git, Node, Python's requests and pip, cargo, Deno, and what OpenSSL backs. */
const CA_VARIABLES = [
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "GIT_SSL_CAINFO",
  "CURL_CA_BUNDLE",
  "PIP_CERT",
  "REQUESTS_CA_BUNDLE",
  "CARGO_HTTP_CAINFO",
  // For npm alone: a machine whose npmrc names a file of its own would win over Node's.
  "npm_config_cafile",
  "DENO_CERT",
];

export function bridgeEnvironment(caBundle: boolean): Record<string, string> {
  const own = "localhost,127.0.0.1,::1";
  return {
    HTTP_PROXY: BRIDGE_URL,
    HTTPS_PROXY: BRIDGE_URL,
    // curl reads only the small form of this one: the large one is also a CGI variable (CVE-2016-5385).
    http_proxy: BRIDGE_URL,
    https_proxy: BRIDGE_URL,
    NO_PROXY: own,
    no_proxy: own,
    // Node's own fetch and http, since 24.
    NODE_USE_ENV_PROXY: "1",
    ...(caBundle ? Object.fromEntries(CA_VARIABLES.map((name) => [name, CA_BUNDLE])) : {}),
  };
}

/** A bridge that has not begun to serve by then never will; a busy machine may take its time. */
const START_DEADLINE_S = 60;

const BRIDGE = `DENO_DIR=/run/bureau/none DENO_NO_UPDATE_CHECK=1 NO_COLOR=1 \\
  ${RUNTIME}/deno ${denoArguments("bridge", RUNTIME).join(" ")}`;

/**
 * The bridge becomes an orphan in the sandbox: it ends with it, and the agent waits for no child that
 * it didn't make. Its first line says that it listens; whoever reads that line ends, and the bridge goes on.
 * A job of a shell without job control doesn't get the terminal's ^C (POSIX, "Asynchronous Lists").
 *
 * POSIX knows no `read` with a deadline, so a watch ends a bridge that says nothing. It writes the number of
 * its `sleep` into the same pipe, before or after the bridge's line; that one's end by a signal ends the watch too.
 *
 * @param bridge a simple command. @param seconds how long it may take to begin
 */
export function startScript(bridge: string, seconds: number): string {
  return `ready=$( {
  ${bridge} </dev/null 2>/dev/null &
  bridge=$!
  ( sleep ${seconds} </dev/null >/dev/null 2>&1 &
    sleep=$!; echo "watch $sleep"; exec </dev/null >/dev/null 2>&1
    wait $sleep && kill -9 $bridge ) &
} | {
  watch= line=
  while IFS= read -r said; do
    case $said in
    "watch "*) watch=\${said#watch } ;;
    *) line=$said ;;
    esac
    if [ -n "$watch" ] && [ -n "$line" ]; then break; fi
  done
  if [ -n "$watch" ]; then kill -9 $watch 2>/dev/null; fi
  printf %s "$line"
} )
case $ready in
*'"ready":true'*) ;;
*) echo "bureau: the bridge to the proxy did not start: \${ready:-it said nothing, for ${seconds} s or until it ended}" >&2
   exit 125 ;;
esac
unset ready
exec "$@"`;
}

const SCRIPT = startScript(BRIDGE, START_DEADLINE_S);

/** @param runtime host directory with `deno` and `bridge.js` */
export function withBridge(plan: SandboxPlan, runtime: string, caBundle: boolean): SandboxPlan {
  if (plan.isolation === "none") {
    throw new SandboxError(
      "passthrough-refused",
      'Cannot plan isolation "none" with a bridge: its port would be the host\'s',
      { hint: "take bridge out of the template: it has the host's network" },
    );
  }
  return {
    ...plan,
    mounts: [
      ...plan.mounts,
      { kind: "bind", source: runtime, dest: RUNTIME, mode: "ro", why: "bridge" },
    ],
    command: ["/bin/sh", "-c", SCRIPT, "bridge", ...plan.command],
    environment: { ...bridgeEnvironment(caBundle), ...plan.environment },
  };
}
