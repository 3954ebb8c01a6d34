// SPDX-License-Identifier: Apache-2.0

/**
 * The permission flags of a process: its static set by name, plus the paths of this machine from
 * `grants.txt`, the one file that says them (architecture rule 15).
 */
import { BureauError } from "../errors.ts";

export const ROLES = [
  "up",
  "homeserver",
  "launcher",
  "daemon",
  "proxy",
  "relay",
  "bridge",
  "gate",
  "authority",
  "web",
  "worker",
  "mcp",
  "parent",
  "resident",
  "bureau",
] as const;
export type Role = typeof ROLES[number];

/** Values for the placeholders of `grants.txt`. A line whose value is not given is left out. */
export interface GrantValues {
  readonly STATE: string;
  readonly RUN: string;
  readonly RUNTIME: string;
  readonly DENO: string;
  /** `host:port` the embedded homeserver listens on. */
  readonly LISTEN?: string;
  /** `host:port` the example authority listens on. */
  readonly AUTHORITY?: string;
  /** `host:port` of the homeserver, embedded or not. */
  readonly HOMESERVER?: string;
  /** Source repository of an agent's clone. */
  readonly REPO?: string;
  /** The file of `bureau agent create --credentials`. */
  readonly CREDENTIALS?: string;
  /** An agent's proxy, for `bureau proxy call`. */
  readonly SOCKET?: string;
  /** `host:port` on loopback, for `bureau mcp serve --http`. */
  readonly MCP?: string;
  /** Directory of the workers of one `bureau worker run`. */
  readonly FABRIC?: string;
  /** Directory of the host of the operator's workers (src/agent/host), for those who ask it. */
  readonly HOSTDIR?: string;
  /** The same, for the host itself. */
  readonly WORKERS?: string;
  /** Socket at which the parent of an operator's workers has people asked. */
  readonly APPROVER?: string;
  /** Directory of the mailboxes of one `bureau worker run --mcp`. */
  readonly MAIL?: string;
  /** `HOST:PORT` of the machine that `bureau worker run --remote` places a worker on. */
  readonly REMOTE?: string;
  /** `HOST:PORT` where `bureau worker serve` listens. */
  readonly SERVE?: string;
  /** The file of `bureau login`, whose session commands use; its directory for `login` and `logout`. */
  readonly SESSION?: string;
  readonly LOGINDIR?: string;
  /** File with the registration token of a homeserver that is not ours. */
  readonly TOKENFILE?: string;
}

export interface VariableGrant {
  readonly role: string;
  readonly flag: string;
  readonly value: string;
}

export class ProcessError extends BureauError {
  override readonly name = "ProcessError";
}

/** Parses `grants.txt` and fills in its placeholders. @throws {ProcessError} on a line it can't read */
export function parseGrants(text: string, values: GrantValues): VariableGrant[] {
  const grants: VariableGrant[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const match = /^(\S+)\s+(net|read|write|run)\s+(.+)$/.exec(line);
    if (match === null) {
      throw new ProcessError(
        "bad-grants",
        `Cannot read line ${index + 1} of "grants.txt": ${line}`,
      );
    }
    const [, role, flag, template] = match;
    let missing = false;
    const value = template!.trim().replace(/@([A-Z]+)/g, (_, name: string) => {
      const given = values[name as keyof GrantValues];
      if (given === undefined) missing = true;
      return given ?? "";
    });
    if (missing) continue;
    // A comma would split one path into two grants.
    if (/[,\n]/.test(value)) {
      throw new ProcessError(
        "bad-path",
        `Cannot grant "${value}": a path here must not hold a comma`,
        {
          hint: "choose other directories with --state-dir and --run-dir",
        },
      );
    }
    grants.push({ role: role!, flag: flag!, value });
  }
  return grants;
}

/** `--allow-read=a,b …` for one role. */
export function grantFlags(grants: readonly VariableGrant[], role: Role): string[] {
  const byFlag = new Map<string, string[]>();
  for (const grant of grants) {
    if (grant.role !== role) continue;
    byFlag.set(grant.flag, [...(byFlag.get(grant.flag) ?? []), grant.value]);
  }
  return [...byFlag].map(([flag, list]) => `--allow-${flag}=${list.join(",")}`);
}

/** Heap limits in MB: what a role needs at its busiest, so that a leak ends one process, not the machine. */
const HEAP_MB: Record<Role, number> = {
  up: 64,
  homeserver: 256,
  launcher: 128,
  daemon: 256,
  proxy: 64,
  relay: 64,
  gate: 64,
  bridge: 32,
  authority: 64,
  web: 32,
  worker: 256,
  mcp: 256,
  parent: 128,
  resident: 128,
  bureau: 256,
};

/**
 * A relay, one a principal, lets go of what its start has used up: 3 MB of it, which V8 would keep. Without the
 * two compilers between the interpreter and the optimizing one it takes 1 MB less; a flood is as fast.
 */
const MORE_V8: Partial<Record<Role, string>> = {
  relay: ",--expose-gc,--no-sparkplug,--no-maglev",
};

/**
 * Everything after the Deno executable that runs `role` from the runtime directory `dir`
 * (architecture §7): static set, machine's grants, bundle.
 */
export function denoArguments(
  role: Role,
  dir: string,
  grants: readonly VariableGrant[] = [],
): string[] {
  return [
    "run",
    // Also keeps Deno's "experimental permissions" warning from the user.
    "--quiet",
    "--no-prompt",
    "--no-remote",
    "--cached-only",
    "--no-lock",
    "--no-code-cache",
    "--unstable-no-legacy-abort",
    // Its egress gates run in a worker with fewer permissions than its own.
    ...(role === "daemon" ? ["--unstable-worker-options"] : []),
    `--v8-flags=--max-semi-space-size=1,--max-old-space-size=${HEAP_MB[role]}${
      MORE_V8[role] ?? ""
    }`,
    `--config=${dir}/deno.json`,
    `--permission-set=${role}`,
    ...grantFlags(grants, role),
    `${dir}/${role}.js`,
  ];
}
