// SPDX-License-Identifier: Apache-2.0

/** `credential import`: what a tool of the operator's holds. `sh tasks/bureau` puts its store on stdin. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { SealedInput } from "../agent/credentials.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { expiryOf, readSecretInput } from "./input.ts";
import { provisionThese } from "./provision.ts";
import { type Found, fromGh, fromNetrc, fromNpmrc, fromVariables, withPort } from "./sources.ts";
import type * as results from "./results.ts";

const SOURCES: Readonly<Record<string, (text: string) => Found[]>> = {
  gh: fromGh,
  npmrc: fromNpmrc,
  netrc: fromNetrc,
};

export const importThem: CommandHandler<typeof results.importThem> = async (call) => {
  const read = sourceOf(call);
  const expiresAt = expiryOf(call);
  const found = withHosts(call, await read());
  const width = found.map(({ name, hosts, from }) =>
    [name, hosts.join(" "), from].map(neutraliseLine)
  );
  for (const line of table(["CREDENTIAL", "HOSTS", "FROM"], width)) call.print(line);
  if (call.flags["yes"] !== true) {
    call.print("nothing was changed: add --yes to give the agent these");
    return { found: found.map(({ value: _, ...rest }) => rest), changed: false };
  }
  const given: SealedInput = Object.fromEntries(
    found.map(({ name, value, hosts }) => [name, { value, allowed_hosts: [...hosts] }]),
  );
  return { ...await provisionThese(call, given, expiresAt), changed: true };
};

function sourceOf(call: Invocation): () => Promise<Found[]> {
  const source = call.args[1];
  const variables = (call.flags["from-env"] as readonly string[] | undefined) ?? [];
  if ((source === undefined) === (variables.length === 0)) {
    throw new CliError("usage", "Cannot import: name one source", {
      hint: "gh, npmrc, netrc, or --from-env VAR",
    });
  }
  const parse = source === undefined
    ? fromVariables
    : Object.hasOwn(SOURCES, source)
    ? SOURCES[source]!
    : undefined;
  if (parse === undefined) {
    throw new CliError("usage", `Cannot import from "${source}"`, {
      hint: `there are ${Object.keys(SOURCES).join(", ")}, and --from-env VAR`,
    });
  }
  return async () => {
    const text = await readSecretInput(undefined, "What the source holds");
    let found: Found[];
    try {
      found = parse(text);
    } catch {
      // Its words could quote the file.
      throw new CliError(
        "bad-source",
        `Cannot import: what ${source ?? "stdin"} holds can't be read`,
      );
    }
    if (found.length > 0) return found;
    throw new CliError("nothing-found", `Cannot import: ${source} holds no token`, {
      status: 404,
      hint: "tokens that lie in a keyring or a variable: name the variable with --from-env",
    });
  };
}

function withHosts(call: Invocation, found: readonly Found[]): Found[] {
  const given = ((call.flags["host"] as readonly string[] | undefined) ?? []).map(withPort);
  return found.map((one) => {
    const hosts = given.length > 0 ? given : one.hosts;
    if (hosts.length > 0) return { ...one, hosts };
    throw new CliError("usage", `Cannot import ${one.from}: where it may go is not known`, {
      hint: "name its hosts: --host HOST",
    });
  });
}
