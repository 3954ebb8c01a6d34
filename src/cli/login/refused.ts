// SPDX-License-Identifier: Apache-2.0

/** Why a login failed, in words by which a person can do something. */
import { connect, hasErrcode, MessagingError } from "../../messaging/mod.ts";
import { CliError } from "../framework/exit.ts";
import { whyUnreachable } from "./unreachable.ts";

interface Attempt {
  readonly homeserverUrl: string;
  /** Localpart. */
  readonly user: string;
}

/** For `.catch()`. @throws {CliError} always */
export function refused(attempt: Attempt): (thrown: unknown) => Promise<never> {
  return async (thrown) => {
    throw thrown instanceof MessagingError ? await explained(attempt, thrown) : thrown;
  };
}

async function explained(attempt: Attempt, error: MessagingError): Promise<CliError> {
  const { homeserverUrl: url, user } = attempt;
  const say = (code: string, why: string, hint: string) =>
    new CliError(code, `Cannot log in at ${url}: ${why}`, {
      cause: error,
      status: error.status,
      hint,
    });
  if (error.errcode === "M_FORBIDDEN") {
    const known = await isKnown(attempt);
    if (known === false) {
      const hint = "check the name: what stands between @ and the colon";
      return say("unknown-user", `it has no account "${user}"`, hint);
    }
    if (!await takesPasswords(url)) {
      const hint = "have its administrator allow m.login.password, which programs need";
      return say("no-password-login", "it takes no passwords", hint);
    }
    return say(
      "wrong-password",
      known === true
        ? `the password of "${user}" is another one`
        : `the password of "${user}" is another one, or there is no such account`,
      "try again; the homeserver's administrator can set a new one",
    );
  }
  if (error.errcode === "M_USER_DEACTIVATED") {
    return say(
      "deactivated",
      `the account "${user}" was deactivated`,
      "ask the homeserver's administrator",
    );
  }
  if (error.status === 429) {
    const wait = Math.ceil((error.retryAfterMs ?? 60_000) / 1000);
    return say("limited", "too many attempts", `try again in ${wait} s`);
  }
  if (error.code === "bad-answer") {
    return say(
      "no-homeserver",
      "there is no Matrix homeserver",
      `give its own URL; where ${new URL(url).hostname} is the name of a server: --homeserver ${
        new URL(url).host
      }`,
    );
  }
  if (error.code !== "unreachable") {
    return say(
      error.code,
      error.message.replace(/^Cannot [^:]*: /, ""),
      error.hint ?? "ask the homeserver's administrator",
    );
  }
  const { code, why, hint } = whyUnreachable(error);
  return say(code, why, hint);
}

/** Asked without a session. Undefined: the homeserver keeps it to itself. */
async function isKnown({ homeserverUrl, user }: Attempt): Promise<boolean | undefined> {
  try {
    const { available } = await connect({ homeserverUrl }).request<{ available?: boolean }>(
      "GET",
      "/_matrix/client/v3/register/available",
      { what: "look for the account", query: { username: user } },
    );
    return available === true ? false : undefined;
  } catch (thrown) {
    return hasErrcode(thrown, "M_USER_IN_USE") ? true : undefined;
  }
}

async function takesPasswords(homeserverUrl: string): Promise<boolean> {
  try {
    const { flows } = await connect({ homeserverUrl }).request<{ flows?: { type?: string }[] }>(
      "GET",
      "/_matrix/client/v3/login",
      { what: "ask how it logs in" },
    );
    return flows?.some(({ type }) => type === "m.login.password") ?? true;
  } catch {
    return true;
  }
}
