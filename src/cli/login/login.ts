// SPDX-License-Identifier: Apache-2.0

/** `login`: a session for somebody who is not this machine's operator. */
import { parseUserId } from "../../lib/ref/mod.ts";
import { connect, createMatrixClient, login as logIn } from "../../messaging/mod.ts";
import { writeHomeserver } from "../boot/boot.ts";
import { readSecretInput } from "../credential/input.ts";
import { readText, writeIfDifferent } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { type OperatorSession, storedSession } from "../session.ts";
import { namesOf } from "./names.ts";
import { refused } from "./refused.ts";
import type * as results from "./results.ts";

export const login: CommandHandler<typeof results.login> = async (call) => {
  const file = fileOf(call);
  const user = userOf(call.args[0]!);
  const homeserverUrl = await homeserverOf(call);
  const account = { homeserverUrl, user: user.localpart };
  // Nobody should type a password for what is no homeserver.
  await connect({ homeserverUrl }).request("GET", "/_matrix/client/versions", {
    what: "log in",
    signal: call.signal,
  }).catch(refused(account));
  const password = await passwordOf(call, user.shown);
  const session = await logIn({ homeserverUrl }, {
    user: user.localpart,
    password,
    deviceName: `Bureau on ${Deno.hostname()}`,
  }).catch(refused(account));
  const { server } = parseUserId(session.user_id);
  if (user.server !== null && user.server !== server) {
    await createMatrixClient({ homeserverUrl, accessToken: session.access_token }).logout();
    throw new CliError(
      "other-server",
      `Cannot log in as "${user.shown}": ${homeserverUrl} is the homeserver of ${server}`,
      { status: 409, hint: `log in as ${session.user_id}, or give another --homeserver` },
    );
  }
  const client = createMatrixClient({ homeserverUrl, accessToken: session.access_token });
  const names = await namesOf(client, call.flags["fleet"] as string | undefined);
  await endEarlier(file, homeserverUrl);
  const document: OperatorSession = {
    version: 1,
    homeserver_url: homeserverUrl,
    user_id: session.user_id,
    access_token: session.access_token,
    server_name: server,
    ...names,
  };
  await writeIfDifferent(file, JSON.stringify(document));
  await writeHomeserver(file.slice(0, file.lastIndexOf("/")), homeserverUrl);
  const used = await isUsed(call, homeserverUrl);
  call.print(`you are ${session.user_id} at ${homeserverUrl}; the session is in ${file}`);
  if (!used) {
    call.print(
      `the Bureau in ${call.stateDir} is on another homeserver: commands about it go on as its operator`,
    );
  }
  return {
    user_id: session.user_id,
    homeserver_url: homeserverUrl,
    fleet: names.fleet,
    file,
    used,
  };
};

/** `tasks/bureau` knows the place. @throws {CliError} `usage` */
export function fileOf(call: Invocation): string {
  if (call.sessionFile !== undefined) return call.sessionFile;
  throw new CliError("usage", "Cannot tell where your session is: --session-file is missing", {
    hint: "run `sh tasks/bureau`, which knows the place",
  });
}

function userOf(text: string): { localpart: string; server: string | null; shown: string } {
  if (text.startsWith("@")) {
    const { localpart, server } = parseUserId(text);
    return { localpart, server, shown: text };
  }
  if (/^[^\s:@]+$/.test(text)) return { localpart: text, server: null, shown: text };
  throw new CliError("usage", `Cannot log in as "${text}": that is no user`, {
    hint: "for example ada, or @ada:example.org",
  });
}

/** What was given or found by `tasks/bureau`, or that of the Bureau in this state directory. */
async function homeserverOf(call: Invocation): Promise<string> {
  const given = call.flags["homeserver"];
  const text = given !== undefined
    ? String(given)
    : (await storedSession(`${call.stateDir}/operator/session.json`).catch(() => null))
      ?.homeserver_url;
  const url = text === undefined ? null : URL.parse(text);
  if (url !== null && ["http:", "https:"].includes(url.protocol) && url.username === "") {
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  }
  throw new CliError(
    "usage",
    text === undefined
      ? "Cannot log in: which homeserver?"
      : `Cannot log in: "${text}" is no homeserver's URL`,
    { hint: "give it with --homeserver https://matrix.example.org, or log in as @ada:example.org" },
  );
}

/** `tasks/bureau` puts a file on stdin. A line break at the end is none of the password. */
async function passwordOf(call: Invocation, user: string): Promise<string> {
  const file = call.flags["password-file"] as string | undefined;
  const text = await readSecretInput(file, `Password of ${user}`);
  const password = text.replace(/\r?\n[^]*$/, "");
  if (password === "") throw new CliError("usage", "Cannot log in: the password is empty");
  return password;
}

/** The one that is replaced has no file from now on: nobody could end it. */
async function endEarlier(file: string, homeserverUrl: string): Promise<void> {
  const known = await storedSession(file).catch(() => null);
  // Another homeserver may not be reached from here.
  if (known === null || known.homeserver_url !== homeserverUrl) return;
  await createMatrixClient({ homeserverUrl, accessToken: known.access_token }).logout()
    .catch(() => {});
}

/** As `tasks/bureau` decides it from the next command on. */
async function isUsed(call: Invocation, homeserverUrl: string): Promise<boolean> {
  const local = await readText(`${call.stateDir}/operator/homeserver`);
  const url = new URL(homeserverUrl);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return local === null || local.trim() === `${url.hostname}:${port}`;
}
