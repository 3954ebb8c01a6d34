// SPDX-License-Identifier: Apache-2.0

/** `sandbox run`: what a person typed, as a request to a launcher that lives for one sandbox. */
import type { CommandHandler } from "../framework/command.ts";
import { builtinTemplate, handOver, parseBind, words } from "./request.ts";

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
  handOver(call, "run", {
    template: { ...template, environment_variables },
    binds: [
      ...words(flags["ro"]).map((path) => parseBind(path, "ro")),
      ...words(flags["rw"]).map((path) => parseBind(path, "rw")),
    ],
    command: [...call.args],
    terminal,
    ...(typeof here === "string" && here.startsWith("/") ? { directory: here } : {}),
  });
};
