// SPDX-License-Identifier: Apache-2.0

/** How this machine reaches its package registries, for another one to reach them the same way. No secrets: no tokens. */
const decoder = new TextDecoder();
const DEFAULT_MIRROR = "http://deb.debian.org/debian";
const DEFAULT_REGISTRY = "https://registry.npmjs.org/";
const DEFAULT_SOURCES = [
  "deb http://deb.debian.org/debian bookworm main",
  "deb http://deb.debian.org/debian bookworm-updates main",
  "deb http://deb.debian.org/debian-security bookworm-security main",
];
/** Certificates and proxies, in the variables that apt, curl, git, Node and Deno read. */
const CERTIFICATES = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "DENO_CERT"];
const OTHERS = ["DENO_TLS_CA_STORE", "NPM_CONFIG_REGISTRY"]
  .concat(["http_proxy", "https_proxy", "no_proxy"].flatMap((n) => [n, n.toUpperCase()]));

/** What a program prints, or "" where it is missing or fails. */
async function ask(program: string, ...args: string[]): Promise<string> {
  try {
    const { success, stdout } = await new Deno.Command(program, {
      args,
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? decoder.decode(stdout).trim() : "";
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return "";
    throw thrown;
  }
}

async function npm(key: string): Promise<string | null> {
  const value = await ask("npm", "config", "get", key);
  return value === "" || value === "null" || value === "undefined" ? null : value;
}

export async function networkVariables(): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const name of [...CERTIFICATES, ...OTHERS]) {
    const value = Deno.env.get(name);
    if (value !== undefined && value !== "") variables[name] = value;
  }
  for (const key of ["registry", "cafile", "proxy", "https-proxy"]) {
    const value = await npm(key);
    if (value !== null && value !== DEFAULT_REGISTRY) {
      variables[`NPM_CONFIG_${key.replace("-", "_").toUpperCase()}`] = value;
    }
  }
  return variables;
}

/** Files those variables name. */
export async function networkFiles(): Promise<string[]> {
  const variables = await networkVariables();
  const names = [...CERTIFICATES, "NPM_CONFIG_CAFILE"].map((name) => variables[name]);
  const files: string[] = [];
  for (const path of new Set(names)) {
    if (path?.startsWith("/") && await Deno.stat(path).then(() => true, () => false)) {
      files.push(path);
    }
  }
  return files;
}

/** apt's mirror and settings, from this machine's where it is a Debian 12 too. */
export async function mirrorSettings(): Promise<
  { url: string; sources: string; conf: string; proxy: Record<string, string> }
> {
  const targets = await ask(
    "apt-get",
    "indextargets",
    ...[
      "--format",
      "$(REPO_URI) $(RELEASE) $(COMPONENT)",
      "Created-By: Packages",
      "Origin: Debian",
    ],
  );
  const lines = targets.split("\n").filter((line) => / bookworm\S* main$/.test(line))
    .map((line) => `deb ${line}`);
  const first = lines.find((line) => / bookworm main$/.test(line));
  const settings = (await ask("apt-config", "dump")).split("\n");
  const conf = settings.filter((line) =>
    /^Acquire::(https?::[^ ]*[Pp]roxy[^ ]*|Check-Date|Check-Valid-Until|Retries) "[^"]+";$/.test(
      line,
    )
  );
  const httpProxy = /^Acquire::http::[Pp]roxy "([^"]+)"/m.exec(conf.join("\n"))?.[1];
  return {
    url: first?.split(" ")[1]?.replace(/\/$/, "") ?? DEFAULT_MIRROR,
    sources: (first === undefined ? DEFAULT_SOURCES : lines).join("\n") + "\n",
    conf: conf.join("\n") + "\n",
    proxy: httpProxy === undefined ? {} : { http_proxy: httpProxy },
  };
}
