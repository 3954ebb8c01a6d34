// SPDX-License-Identifier: Apache-2.0

/** A template that comes on stdin: `sh tasks/bureau` puts the file there, as this process may not read it. */
import type { Template } from "../../lib/schema/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { mistakeLine } from "../framework/document.ts";
import { type ReadTemplate, readTemplateText } from "./document.ts";

export interface TemplateFile extends ReadTemplate {
  /** As the person named it. */
  readonly source: string;
}

/** @throws {CliError} `no-such-file`, `usage` */
export async function readTemplateFile(call: Invocation, argument: string): Promise<TemplateFile> {
  if (argument !== "-") {
    throw new CliError("no-such-file", `Cannot read "${argument}": there is no such file`, {
      status: 404,
      hint: "a template that is published is written ROOM:NAME",
    });
  }
  const bytes = await call.input();
  let text: string;
  const source = String(call.flags["source"] ?? "stdin");
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CliError("usage", `Cannot read "${source}": it is not UTF-8`, { cause });
  }
  return { source, ...readTemplateText(text) };
}

/** A template without a mistake. @throws {CliError} `invalid-template` */
export function soundTemplate({ source, template, mistakes }: TemplateFile): Template {
  if (template !== null && mistakes.length === 0) return template;
  throw new CliError(
    "invalid-template",
    `Cannot use "${source}": ${
      mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes; the first`
    }: ${mistakeLine(source, mistakes[0]!)}`,
    { status: 422, hint: "`bureau template validate FILE` tells all of them" },
  );
}
