// SPDX-License-Identifier: Apache-2.0

/** `sandbox run`: what a person typed, as a request to a launcher that lives for one sandbox. */
import { CliError } from "../framework/exit.ts";
import type { CommandHandler } from "../framework/command.ts";
import { networkOf } from "./network.ts";
import { builtinTemplate, handOver, parseBind, wayOut, words } from "./request.ts";

export const run: CommandHandler = async (call) => {
  const { flags } = call;
  const template = await builtinTemplate(String(flags["template"]));
  const terminal = flags["terminal"] === true;
  // What the program may draw; the name is the caller's and goes into an environment.
  const name = terminal ? Deno.env.get("TERM") ?? "" : "";
  const environment_variables = {
    ...template.environment_variables,
    ...(/^[a-z0-9+.-]{1,64}$/i.test(name) ? { TERM: name } : {}),
  };
  const here = flags["here"];
  const sockets = flags["sockets"];
  const asked = networkOf(
    words(flags["allow-host"]),
    words(flags["credential"]),
    words(flags["credential"]).length > 0 || typeof flags["ca"] === "string"
      ? await new Response(Deno.stdin.readable).text()
      : "",
  );
  if (asked !== null && typeof sockets !== "string") {
    throw new CliError("usage", "Cannot open a way out: nobody made a place for its sockets", {
      hint: "run `sh tasks/bureau`, which does",
    });
  }
  handOver(typeof sockets === "string" ? { ...call, runDir: sockets } : call, "run", {
    template: { ...template, ...wayOut(asked), environment_variables },
    binds: [
      ...words(flags["ro"]).map((path) => parseBind(path, "ro")),
      ...words(flags["rw"]).map((path) => parseBind(path, "rw")),
    ],
    command: [...call.args],
    terminal,
    ...(asked === null ? {} : { network: asked.network }),
    ...(typeof here === "string" && here.startsWith("/") ? { directory: here } : {}),
  });
};
