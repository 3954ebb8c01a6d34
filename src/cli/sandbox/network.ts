// SPDX-License-Identifier: Apache-2.0

/** `--allow-host` and `--credential` of `sandbox run`: what was typed, and the values that came on stdin. */
import { parseAuthority } from "../../lib/authority.ts";
import { EGRESS_PRESETS, presetOf } from "../../lib/template/mod.ts";
import type { SandboxRequest } from "../../launcher/api.ts";
import { CliError } from "../framework/exit.ts";

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** `HOST`, `HOST:PORT`, `*.HOST[:PORT]`, an address, or `preset:NAME`; 443 where no port is named. */
export function allowedHost(text: string): string {
  if (text.startsWith("preset:")) {
    if (presetOf(text) !== null) return text;
    throw new CliError("usage", `Cannot allow "${text}": there is no such preset`, {
      hint: `there are ${Object.keys(EGRESS_PRESETS).join(", ")}`,
    });
  }
  const bare = text.startsWith("*.") ? text.slice(2) : text;
  const prefix = text.startsWith("*.") ? "*." : "";
  const full = parseAuthority(bare) === null ? `${bare}:443` : bare;
  if (parseAuthority(full) !== null) return prefix + full;
  throw new CliError("usage", `Cannot allow "${text}": it is no host, HOST:PORT or preset:NAME`, {
    hint: "an address as https://… is named by its host alone: --allow-host api.example.org",
  });
}

interface Named {
  readonly name: string;
  readonly hosts: readonly string[];
}

/** `NAME@HOST[,HOST…]`: `sh tasks/bureau` has read the file that stood between. */
export function parseCredential(text: string): Named {
  const at = text.indexOf("@");
  const name = at < 0 ? text : text.slice(0, at);
  const hosts = at < 0 ? [] : text.slice(at + 1).split(",").filter((host) => host !== "");
  if (!VARIABLE.test(name) || hosts.length === 0) {
    throw new CliError("usage", `Cannot use the credential "${name}": it is not NAME=FILE@HOST`, {
      hint:
        "NAME is the variable that the program reads: --credential GH_TOKEN=token.txt@api.github.com",
    });
  }
  return { name, hosts: hosts.map(credentialHost) };
}

/** A secret goes to hosts that somebody named in full. */
function credentialHost(text: string): string {
  const host = allowedHost(text);
  if (!host.startsWith("*.") && !host.startsWith("preset:")) return host;
  throw new CliError("usage", `Cannot send a credential to "${text}": name each host in full`);
}

/**
 * @param given lines `NAME BASE64`, as `tasks/sandbox.sh` writes them; `--ca` is the name of the authority
 * @returns the request's network, and the egress entries of its template; null where nothing is allowed
 */
export function networkOf(
  hosts: readonly string[],
  credentials: readonly string[],
  given: string,
): { network: NonNullable<SandboxRequest["network"]>; allow: string[] } | null {
  if (hosts.length === 0 && credentials.length === 0) return null;
  const values = new Map(
    given.split("\n").filter((line) => line !== "").map((line) => {
      const [name = "", base64 = ""] = line.split(" ");
      return [name, new TextDecoder().decode(Uint8Array.fromBase64(base64))];
    }),
  );
  const named = credentials.map(parseCredential);
  const allow = [...hosts.map(allowedHost), ...named.flatMap(({ hosts }) => hosts)];
  return {
    network: {
      credentials: Object.fromEntries(named.map(({ name, hosts }) => {
        // Files end with a line break; no credential does.
        const value = (values.get(name) ?? "").replace(/\r?\n$/, "");
        if (value === "") {
          throw new CliError("usage", `Cannot use the credential "${name}": its file is empty`);
        }
        // Where it can be published the promise would be broken that it can't be read.
        return [name, { value, allowed_hosts: [...hosts], places: ["header" as const] }];
      })),
      ...(values.has("--ca") ? { ca: values.get("--ca")! } : {}),
    },
    allow: [...new Set(allow)],
  };
}
