// SPDX-License-Identifier: Apache-2.0

/** Lines of `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): which key speaks for which host. */
import { SshFormatError, SshReader } from "./wire.ts";

export interface KnownHost {
  /** `host:port`, lower case. */
  readonly host: string;
  /** Of the key, base64. */
  readonly key: string;
  readonly type: string;
}

/**
 * Only plain names: a pattern, a hashed name, `@cert-authority` or `@revoked` would say less, or other,
 * than whoever wrote it means.
 * @throws {SshFormatError} that names the line
 */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split("\n").flatMap((line, at) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    const bad = (why: string) => new SshFormatError(`line ${at + 1} of the known hosts: ${why}`);
    const [names, type, key] = trimmed.split(/\s+/);
    if (names!.startsWith("@")) throw bad(`"${names}" is not used here; name the host's own key`);
    if (names!.startsWith("|")) {
      throw bad("the name is hashed; write it out, as `ssh-keyscan HOST` does");
    }
    if (type === undefined || key === undefined) throw bad("it is not `HOST TYPE KEY`");
    try {
      if (new SshReader(Uint8Array.fromBase64(key)).text() !== type) throw new Error();
    } catch {
      throw bad(`its key is not a key of type "${type.slice(0, 60)}"`);
    }
    return names!.split(",").map((name) => {
      const host = withPort(name.toLowerCase());
      if (host === null) throw bad(`"${name.slice(0, 80)}" is not HOST or [HOST]:PORT`);
      return { host, key, type };
    });
  });
}

/** As it is written: `host` for port 22, `[host]:port` for others. */
function withPort(name: string): string | null {
  const bracketed = /^\[([^\]*?!]+)\]:(\d{1,5})$/.exec(name);
  if (bracketed !== null) return `${shown(bracketed[1]!)}:${bracketed[2]}`;
  return /^[^*?![\]]+$/.test(name) ? `${shown(name)}:22` : null;
}

function shown(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** One line for each key, in the form that {@link parseKnownHosts} reads. */
export function formatKnownHosts(hosts: readonly KnownHost[]): string {
  return hosts.map(({ host, type, key }) => {
    const port = host.slice(host.lastIndexOf(":") + 1);
    const bare = host.slice(0, -port.length - 1).replace(/^\[|\]$/g, "");
    return `${port === "22" ? bare : `[${bare}]:${port}`} ${type} ${key}\n`;
  }).join("");
}
