// SPDX-License-Identifier: Apache-2.0

/** `mcp serve`: the commands as tools, with the operator's rights, until the client or a signal ends it. */
import { systemClock } from "../../lib/clock.ts";
import { isGlob, matchGlob } from "../../lib/glob/glob.ts";
import { VERSION } from "../../lib/version.ts";
import { Catalog } from "../../mcp/catalog.ts";
import { loadSdk } from "../../mcp/load.ts";
import { Rights } from "../../mcp/rights.ts";
import { createMcpServer } from "../../mcp/server.ts";
import { serveStdio } from "../../mcp/stdio.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { PLAIN, useScreen } from "../framework/screen.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession } from "../session.ts";
import { serveHttp } from "./listen.ts";
import { outputSchemas } from "./outputs.ts";
import { commandResources } from "./resources.ts";
import { commandTools } from "./tools.ts";

/** How soon a client hears of a right that came or went; a call asks by itself. */
const RIGHTS_MS = 2_000;

const INSTRUCTIONS =
  "Bureau runs agents in sandboxes on this machine. These tools are its command line, with the rights of the operator you work for. " +
  "NAME is an agent: `scribe`, `agent/scribe`, or a full name. Begin with bureau_list or bureau_status. " +
  "A tool with the parameter `yes` destroys something or gives somebody rights: ask the person first.";

export const serve: CommandHandler = async (call) => {
  // What tools say is read by programs, on whatever terminal this stands.
  useScreen(PLAIN);
  const only = patternsOf(call);
  // Fails at once where there is no session: a client would show nothing but silence.
  await loadSession(call);
  const place = { stateDir: call.stateDir, runDir: call.runDir };
  const tools = commandTools(call.commands, place, await outputSchemas(call.commands))
    .filter(({ effect }) => call.flags["read-only"] !== true || effect === "reads");
  const rights = new Rights({
    read: (signal) => readPolicy(call, signal),
    clock: systemClock,
    everyMs: RIGHTS_MS,
    signal: call.signal,
    ...(only === null ? {} : { only }),
  });
  const catalog = new Catalog(tools, rights);
  const sdk = await loadSdk();
  const resources = commandResources(call);
  const makeServer = () =>
    createMcpServer(sdk, {
      catalog,
      resources,
      version: VERSION,
      progressive: call.flags["progressive"] === true,
      instructions: INSTRUCTIONS,
      clock: systemClock,
    });
  void rights.follow();
  const address = call.flags["http"] as string | undefined;
  if (address !== undefined) return await serveHttp(call, address, sdk, makeServer);
  await serveStdio(sdk, makeServer(), call.signal);
  return undefined;
};

async function readPolicy(call: Invocation, signal: AbortSignal) {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const query = { user: session.user_id };
    const { grants, denials } = await daemon.call("authorizationOf", { query, signal });
    return { grants, denials } as never;
  } finally {
    daemon.close();
  }
}

function patternsOf(call: Invocation): ((action: string) => boolean) | null {
  const patterns = call.flags["allow"] as readonly string[] | undefined;
  if (patterns === undefined || patterns.length === 0) return null;
  const wrong = patterns.find((pattern) => !isGlob(pattern));
  if (wrong !== undefined) {
    throw new CliError("usage", `Cannot use --allow "${wrong}": it is no pattern`, {
      hint: "for example `command/agent/*` or `command/**`",
    });
  }
  return (action) => patterns.some((pattern) => matchGlob(pattern, action));
}
