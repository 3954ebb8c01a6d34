// SPDX-License-Identifier: Apache-2.0

/** Tools' own stores of tokens, as text, to credentials and the hosts that they are for. */
import { parse as parseYaml } from "yaml";

export interface Found {
  readonly name: string;
  readonly value: string;
  /** `host:port`; empty: the source doesn't say. */
  readonly hosts: readonly string[];
  /** For people; holds no secret. */
  readonly from: string;
}

/** Where the tokens of well-known variables go. */
const VARIABLES: Readonly<Record<string, readonly string[]>> = {
  GH_TOKEN: ["api.github.com:443", "github.com:443"],
  GITHUB_TOKEN: ["api.github.com:443", "github.com:443"],
  GITLAB_TOKEN: ["gitlab.com:443"],
  ANTHROPIC_API_KEY: ["api.anthropic.com:443"],
  OPENAI_API_KEY: ["api.openai.com:443"],
  GEMINI_API_KEY: ["generativelanguage.googleapis.com:443"],
  OPENROUTER_API_KEY: ["openrouter.ai:443"],
  NPM_TOKEN: ["registry.npmjs.org:443"],
  HF_TOKEN: ["huggingface.co:443"],
};

/** Lines `NAME <base64 of the value>`, as tasks/credential.sh writes them. */
export function fromVariables(text: string): Found[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const [name = "", encoded = ""] = line.split(" ");
    const value = new TextDecoder().decode(Uint8Array.fromBase64(encoded));
    return { name, value, hosts: VARIABLES[name] ?? [], from: `$${name}` };
  });
}

/** `hosts.yml` of GitHub's CLI. */
export function fromGh(text: string): Found[] {
  const document: unknown = parseYaml(text);
  return Object.entries(fieldsOf(document)).flatMap(([host, entry]) => {
    const { oauth_token: token, user } = fieldsOf(entry);
    if (typeof token !== "string" || token === "") return [];
    return [{
      name: host === "github.com" ? "gh" : `gh-${host}`,
      value: token,
      hosts: host === "github.com" ? ["api.github.com:443", "github.com:443"] : [withPort(host)],
      from: typeof user === "string" ? `gh, ${user} at ${host}` : `gh, ${host}`,
    }];
  });
}

/** Tokens of registries: `//host/path/:_authToken=…`. What comes from a variable is in no file. */
export function fromNpmrc(text: string): Found[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*\/\/([^/\s:]+(?::\d+)?)(?:\/[^\s=]*)?:_authToken\s*=\s*(.+?)\s*$/.exec(line);
    if (match === null) return [];
    const value = match[2]!.replace(/^"(.*)"$/, "$1");
    if (value.includes("${")) return [];
    const host = match[1]!;
    const name = host === "registry.npmjs.org" ? "npm" : `npm-${host.replace(":", "-")}`;
    return [{ name, value, hosts: [withPort(host)], from: `.npmrc, ${host}` }];
  });
}

/** Passwords by machine; `default` goes to every host and is left out, as are macros. */
export function fromNetrc(text: string): Found[] {
  const words = text.replace(/^\s*#.*$/gm, "").replace(/^macdef[^\n]*\n(?:[^\n]+\n)*/gm, "")
    .split(/\s+/).filter((word) => word !== "");
  const found: Found[] = [];
  let machine: string | null = null;
  let login = "";
  for (let at = 0; at < words.length; at += 2) {
    const [key, value] = [words[at]!, words[at + 1] ?? ""];
    if (key === "default") {
      machine = null;
      at--;
    } else if (key === "machine") {
      machine = value;
      login = "";
    } else if (key === "login") login = value;
    else if (key === "password" && machine !== null) {
      found.push({
        name: `netrc-${machine}`,
        value,
        hosts: [withPort(machine)],
        from: login === "" ? `.netrc, ${machine}` : `.netrc, ${login} at ${machine}`,
      });
    }
  }
  return found;
}

export function withPort(host: string): string {
  return /:\d+$/.test(host) ? host : `${host}:443`;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
