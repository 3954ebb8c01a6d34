// SPDX-License-Identifier: Apache-2.0

/**
 * What `sandbox run` and `sandbox check` ask of the launcher. This process may not run bwrap: it prints the
 * document on stdout, and `tasks/bureau` starts a short-lived launcher with it.
 */
import { formatTemplateRef } from "../../lib/ref/mod.ts";
import type { Template } from "../../lib/schema/events.ts";
import { builtinTemplates, resolveTemplate } from "../../lib/template/mod.ts";
import type { LauncherBootstrap, SandboxRequest } from "../../launcher/api.ts";
import type { FlagValue, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

const ROOM = "bureau/template";

/** A template that comes with Bureau, resolved. */
export function builtinTemplate(name: string): Promise<Template> {
  const known: Readonly<Record<string, Template>> = builtinTemplates;
  return resolveTemplate(`${ROOM}:${name}`, (ref) => {
    const template = Object.hasOwn(known, ref.name) ? known[ref.name] : undefined;
    if (template !== undefined && formatTemplateRef(ref) === `${ROOM}:${ref.name}`) {
      return Promise.resolve(template);
    }
    throw new CliError("usage", `Cannot use the template "${ref.name}": none of that name`, {
      hint: `built in are ${Object.keys(known).join(", ")}; others live in Matrix, for agents`,
    });
  });
}

/** `PATH` or `PATH:DEST`, both absolute; `tasks/bureau` has made them so. */
export function parseBind(text: string, mode: "ro" | "rw"): SandboxRequest["binds"][number] {
  const at = text.lastIndexOf(":/");
  const source = at > 0 ? text.slice(0, at) : text;
  const dest = at > 0 ? text.slice(at + 1) : text;
  if (!source.startsWith("/")) {
    throw new CliError("usage", `Cannot bind "${text}": not an absolute path`, {
      hint: "run `sh tasks/bureau`, which makes paths absolute from where you stand",
    });
  }
  return { source, dest, mode };
}

export const words = (value: FlagValue): readonly string[] => Array.isArray(value) ? value : [];

/** What a template gets so that the programs in its sandbox find the way out that was asked for; null: there is none. */
export function wayOut(
  asked: { readonly allow: string[]; readonly network: { readonly credentials: object } } | null,
): Pick<Template, "bridge" | "egress" | "placeholders"> {
  return asked === null ? {} : {
    bridge: true,
    egress: { allow: asked.allow },
    placeholders: Object.fromEntries(
      Object.keys(asked.network.credentials).map((name) => [name, name]),
    ),
  };
}

/** For a launcher that makes this one sandbox, and ends with it. */
export function launcherDocument(
  call: Pick<Invocation, "runDir" | "stateDir">,
  mode: "run" | "check",
  sandbox: SandboxRequest,
): LauncherBootstrap {
  return {
    version: 1,
    mode,
    run_dir: call.runDir,
    state_dir: call.stateDir,
    // Of a launcher that serves; this one reads none of them.
    runtime_dir: "",
    policy_path: "",
    machine: "",
    server_name: "",
    sandbox,
  };
}

/** The one line that `tasks/bureau` waits for. */
export function handOver(
  call: Invocation,
  mode: "run" | "check",
  sandbox: SandboxRequest,
): undefined {
  call.emit(JSON.stringify(launcherDocument(call, mode, sandbox)));
}
