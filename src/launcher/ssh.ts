// SPDX-License-Identifier: Apache-2.0

/**
 * SSH keys of a principal: they stay in its proxy, which signs in to named hosts with them
 * (`src/proxy/ssh`). What the sandbox gets: the agent's socket, and how to reach the hosts through the proxy.
 */
import type { CredentialBundle } from "../lib/schema/events.ts";
import {
  formatKnownHosts,
  type KnownHost,
  parseKnownHosts,
  publicKeyLine,
  SshFormatError,
} from "../lib/ssh/mod.ts";
import type { ResolvedSpec } from "../lib/template/mod.ts";
import { type BoundSshKey, SSH_AGENT_SOCKET } from "../proxy/api.ts";
import { LauncherError } from "./errors.ts";

const CONTRACT = "/run/bureau/contract";

export interface SshBinding {
  /** For the proxy. Secret. */
  readonly keys: Readonly<Record<string, BoundSshKey>>;
  /** Files of the sandbox's contract. */
  readonly contract: readonly (readonly [name: string, text: string])[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * @param who the principal, for messages
 * @returns null where its template names no key
 * @throws {LauncherError} where a credential is lacking, is no key, or knows none of its hosts
 */
export function bindSshKeys(
  spec: Pick<ResolvedSpec, "ssh_keys">,
  bundle: CredentialBundle | null,
  who: string,
): SshBinding | null {
  const entries = Object.entries(spec.ssh_keys);
  if (entries.length === 0) return null;
  const keys: Record<string, BoundSshKey> = {};
  const known: KnownHost[] = [];
  let signing: string | null = null;
  for (const [name, wanted] of entries) {
    const refuse = (code: string, why: string, hint: string) =>
      new LauncherError(code, `Cannot start "${who}": SSH key "${name}" ${why}`, {
        status: 403,
        hint,
      });
    const credential = bundle !== null && Object.hasOwn(bundle.credentials, wanted.credential)
      ? bundle.credentials[wanted.credential]!
      : null;
    if (credential === null) {
      throw refuse(
        "missing-credential",
        `is the credential "${wanted.credential}", which is not sealed for it`,
        "seal it with the principal's other credentials",
      );
    }
    const signs = wanted.signs ?? [];
    try {
      const line = publicKeyLine(credential.value);
      const hosts = parseKnownHosts(credential.known_hosts ?? "")
        .filter(({ host }) => credential.allowed_hosts.includes(host));
      if (hosts.length === 0 && signs.length === 0) {
        throw refuse(
          "no-known-host",
          "knows the host key of none of its allowed hosts",
          "seal it again with known_hosts lines of its hosts (`ssh-keyscan HOST`, checked against what the host publishes)",
        );
      }
      known.push(...hosts);
      if (signs.includes("git")) signing ??= line;
      keys[name] = {
        name,
        private_key: credential.value,
        hosts: hosts.map(({ host, key }) => ({ host, key })),
        ...(wanted.users === undefined ? {} : { users: wanted.users }),
        signs,
        ...(credential.expires_at === undefined ? {} : { expires_at: credential.expires_at }),
      };
    } catch (thrown) {
      if (!(thrown instanceof SshFormatError)) throw thrown;
      throw refuse("bad-ssh-key", `can't be used: ${thrown.message}`, "seal it again");
    }
  }
  return {
    keys,
    contract: [
      ["known_hosts", formatKnownHosts(known)],
      ["ssh_config", SSH_CONFIG],
      ["ssh-connect", CONNECT_SCRIPT],
    ],
    environment: {
      SSH_AUTH_SOCK: SSH_AGENT_SOCKET,
      GIT_SSH_COMMAND: `ssh -F ${CONTRACT}/ssh_config`,
      ...(signing === null ? {} : gitConfig([
        ["gpg.format", "ssh"],
        ["user.signingKey", `key::${signing}`],
        ["commit.gpgSign", "true"],
        ["tag.gpgSign", "true"],
      ])),
    },
  };
}

/** git's configuration by environment (git-config(1), `GIT_CONFIG_COUNT`). */
function gitConfig(entries: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries([
    ["GIT_CONFIG_COUNT", String(entries.length)],
    ...entries.flatMap(([key, value], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ]),
  ]);
}

const SSH_CONFIG = `Host *
  ProxyCommand /bin/bash ${CONTRACT}/ssh-connect %h %p
  UserKnownHostsFile ${CONTRACT}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  IdentityAgent ${SSH_AGENT_SOCKET}
  BatchMode yes
`;

/** \`CONNECT\` through the bridge, with nothing but bash: a sandbox need not have netcat. */
const CONNECT_SCRIPT = `# ProxyCommand of ssh: HOST PORT
exec 3<>/dev/tcp/127.0.0.1/8642 || { echo "bureau: no bridge: the template needs bridge: true" >&2; exit 1; }
printf 'CONNECT %s:%s HTTP/1.1\\r\\nHost: %s:%s\\r\\n\\r\\n' "$1" "$2" "$1" "$2" >&3
IFS= read -r -u 3 status || { echo "bureau: the proxy did not answer" >&2; exit 1; }
case $status in
*" 200 "*) ;;
*) echo "bureau: $status" >&2; cat <&3 >&2; echo >&2; exit 1 ;;
esac
while IFS= read -r -u 3 line && [ "$line" != $'\\r' ]; do :; done
cat <&3 &
reader=$!
cat >&3
kill "$reader" 2>/dev/null
`;
