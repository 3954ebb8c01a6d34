// SPDX-License-Identifier: Apache-2.0

/**
 * From what a person gives as credentials to what is sealed: plain values, OAuth 2.0 logins, and the logins
 * of Claude Code and Codex as these tools keep them. Messages name places, never values.
 */
import * as z from "zod/mini";
import { CredentialBundle, type Oauth2Login } from "../../lib/schema/events.ts";
import { CliError } from "../framework/exit.ts";

/** As it is sealed: another list of fields here would drop the ones that it lacks. */
export const SealedInput = CredentialBundle.shape.credentials;
export type SealedInput = z.infer<typeof SealedInput>;
type Sealed = SealedInput[string];
type Fields = Readonly<Record<string, unknown>>;

/**
 * The public clients that the tools themselves are, and where they renew their tokens, as published clients have
 * them. Both vendors may move them: `token_url` in the document overrides.
 */
export const CLAUDE = {
  api: "api.anthropic.com:443",
  token_url: "https://platform.claude.com/v1/oauth/token",
  client_id: "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
  /** Without it the API takes no subscription's token. */
  beta: { "anthropic-beta": "oauth-2025-04-20" },
};
export const CODEX = {
  api: "chatgpt.com:443",
  token_url: "https://auth.openai.com/oauth/token",
  client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
  scope: "openid profile email",
};

const IMPORTS: Readonly<Record<string, (name: string, given: Fields) => Sealed>> = {
  "claude-subscription": claude,
  "codex-subscription": codex,
};

/**
 * @param json the document, or one of the tools' own files
 * @throws {CliError} `usage`
 */
export function parseCredentials(json: unknown): SealedInput {
  const given = fieldsOf(json) ?? {};
  const own = fieldsOf(given["claudeAiOauth"]) !== null
    ? { claude: { kind: "claude-subscription", login: given } }
    : fieldsOf(given["tokens"]) !== null && given["tokens"] !== null && "last_refresh" in given
    ? { codex: { kind: "codex-subscription", login: given } }
    : null;
  const document = own ?? json;
  const entries = fieldsOf(document);
  const filled = entries === null ? document : Object.fromEntries(
    Object.entries(entries).map(([name, credential]) => [name, imported(name, credential)]),
  );
  const parsed = z.safeParse(SealedInput, filled);
  if (!parsed.success) {
    throw usage(`is wrong at ${parsed.error.issues[0]?.path.join(".") || "the top"}`);
  }
  return parsed.data;
}

function imported(name: string, credential: unknown): unknown {
  const given = fieldsOf(credential);
  if (given === null) return credential;
  const kind = given["kind"];
  if (kind === undefined) {
    // A login has no value of its own.
    return given["oauth2"] === undefined ? given : { ...given, value: given["value"] ?? "" };
  }
  const read = typeof kind === "string" && Object.hasOwn(IMPORTS, kind) ? IMPORTS[kind] : undefined;
  if (read === undefined) {
    throw usage(`"${name}" has an unknown kind`, `there are ${Object.keys(IMPORTS).join(", ")}`);
  }
  return read(name, given);
}

function claude(name: string, given: Fields): Sealed {
  const token = given["token"];
  if (token !== undefined) {
    if (typeof token !== "string" || !/^sk-ant-oat\S+$/.test(token.trim())) {
      throw usage(
        `"${name}": its token is none of a subscription, which begins with sk-ant-oat`,
        "run `claude setup-token` and give what it prints; an API key is a plain value",
      );
    }
    return {
      value: token.trim(),
      allowed_hosts: hostsOf(name, given) ?? [CLAUDE.api],
      append_headers: CLAUDE.beta,
      ...placesOf(given),
    };
  }
  const login = fieldsOf(fieldsOf(given["login"])?.["claudeAiOauth"]);
  const refresh = textOf(login?.["refreshToken"]);
  if (refresh === null) {
    throw usage(
      `"${name}": it has neither a token nor a login with claudeAiOauth.refreshToken`,
      "give what `claude setup-token` prints as token, or ~/.claude/.credentials.json as login",
    );
  }
  return renewed(name, given, CLAUDE.api, {
    token_url: CLAUDE.token_url,
    client_id: CLAUDE.client_id,
    refresh_token: refresh,
    ...accessOf(textOf(login!["accessToken"]), login!["expiresAt"]),
    body: "json",
  }, { append_headers: CLAUDE.beta });
}

function codex(name: string, given: Fields): Sealed {
  const login = fieldsOf(given["login"]);
  const tokens = fieldsOf(login?.["tokens"]);
  const refresh = textOf(tokens?.["refresh_token"]);
  if (refresh === null) {
    const hasKey = textOf(login?.["OPENAI_API_KEY"]) !== null;
    throw usage(
      `"${name}": its login has no tokens.refresh_token`,
      hasKey
        ? "it holds an API key: seal that as a plain value for api.openai.com:443"
        : "run `codex login` and give ~/.codex/auth.json as login",
    );
  }
  const claims = claimsOf(textOf(tokens!["access_token"]));
  const auth = fieldsOf(claimsOf(textOf(tokens!["id_token"]))["https://api.openai.com/auth"]);
  const account = textOf(tokens!["account_id"]) ?? textOf(auth?.["chatgpt_account_id"]);
  if (account === null) {
    throw usage(`"${name}": its login names no account`, "run `codex login` again");
  }
  const expires = typeof claims["exp"] === "number" ? claims["exp"] * 1000 : undefined;
  return renewed(name, given, CODEX.api, {
    token_url: CODEX.token_url,
    client_id: CODEX.client_id,
    refresh_token: refresh,
    scope: CODEX.scope,
    ...accessOf(textOf(tokens!["access_token"]), expires),
    body: "json",
  }, { headers: { "chatgpt-account-id": account } });
}

/** A login that the proxy renews, and the hosts that it needs. */
function renewed(
  name: string,
  given: Fields,
  api: string,
  login: Oauth2Login,
  headers: Pick<Sealed, "headers" | "append_headers">,
): Sealed {
  const token_url = textOf(given["token_url"]) ?? login.token_url;
  const url = URL.parse(token_url);
  if (url === null) throw usage(`"${name}": its token_url is no address`);
  const host = `${url.hostname}:${url.port || (url.protocol === "http:" ? 80 : 443)}`;
  const ca = textOf(given["ca"]);
  return {
    value: "",
    allowed_hosts: [...new Set([...hostsOf(name, given) ?? [api], host])],
    oauth2: { ...login, token_url },
    ...headers,
    ...placesOf(given),
    ...(ca === null ? {} : { ca }),
  };
}

/** A token whose end is not known is not used: it may be long over. */
function accessOf(token: string | null, end: unknown) {
  return token !== null && typeof end === "number" ? { access_token: token, expires_at: end } : {};
}

/** Both tools send their tokens in a header alone: nothing that they publish can hold one. */
function placesOf(given: Fields): Pick<Sealed, "places"> {
  return {
    places: given["places"] === undefined ? ["header"] : given["places"] as Sealed["places"],
  };
}

function hostsOf(name: string, { allowed_hosts: hosts }: Fields): string[] | null {
  if (hosts === undefined) return null;
  if (Array.isArray(hosts) && hosts.every((host) => typeof host === "string")) return hosts;
  throw usage(`is wrong at ${name}.allowed_hosts`);
}

/** Of a JWT (RFC 7519), unverified: it is our own login. */
function claimsOf(token: string | null): Fields {
  try {
    const bytes = Uint8Array.fromBase64(token!.split(".")[1]!, { alphabet: "base64url" });
    return fieldsOf(JSON.parse(new TextDecoder().decode(bytes))) ?? {};
  } catch {
    return {};
  }
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Fields
    : null;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function usage(why: string, hint?: string): CliError {
  return new CliError(
    "usage",
    `Cannot read the credentials: ${why}`,
    hint === undefined ? {} : { hint },
  );
}
