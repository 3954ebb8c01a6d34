// SPDX-License-Identifier: Apache-2.0

/** `docs/reference/cli.md` from the declarations. */
import { commands, groups } from "../commands.ts";
import type { CommandSpec } from "./command.ts";
import { CATEGORIES, Exit } from "./exit.ts";

export function renderReference(): string {
  const lines = [
    "# The `bureau` command",
    "",
    "Generated from the declarations in `src/cli`. From a checkout: `sh tasks/bureau …`.",
    "",
    "Every command takes `--json` (one JSON document on stdout, or one a line where it goes on; `cli.schema.json` has their schemas), `--state-dir DIR`",
    "and `--run-dir DIR`. A failure ends with the status of its category; with `--json` it is one document on stderr:",
    '`{"error":{"category","code","message","hint"?,"exit_status"}}`.',
    "",
    "| category | exit status | meaning |",
    "|---|---|---|",
    `| | ${Exit.ok} | done |`,
    ...Object.entries(CATEGORIES).map(([name, { exit, meaning }]) =>
      `| \`${name}\` | ${exit} | ${meaning} |`
    ),
    "",
  ];
  const shown = commands.filter((spec) => !spec.hidden);
  for (const spec of shown.filter((spec) => spec.path.length === 1)) lines.push(...section(spec));
  for (const group of groups) {
    lines.push(`## bureau ${group.name}`, "", `${group.brief}.`, "");
    for (
      const spec of shown.filter((spec) => spec.path[0] === group.name && spec.path.length > 1)
    ) {
      lines.push(...section(spec));
    }
  }
  return lines.join("\n");
}

function section(spec: CommandSpec): string[] {
  const usage = (spec.args ?? []).map(({ name, optional }) => optional ? `[${name}]` : name)
    .map((word) => spec.variadic ? `${word}…` : word);
  const lines = [
    `### bureau ${[...spec.path, ...usage].join(" ")}`,
    "",
    `${spec.brief}.`,
    "",
    ...(spec.docs === undefined ? [] : [spec.docs, ""]),
  ];
  for (const { name, brief } of spec.args ?? []) lines.push(`- \`${name}\`: ${brief}`);
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    const value = flag.kind === "switch" ? "" : ` ${flag.placeholder ?? "VALUE"}`;
    const fallback = flag.default === undefined ? "" : ` (default ${flag.default})`;
    lines.push(`- \`--${name}${value}\`: ${flag.brief}${fallback}`);
  }
  if ((spec.args ?? []).length + Object.keys(spec.flags ?? {}).length > 0) lines.push("");
  if (spec.examples !== undefined) lines.push("```sh", ...spec.examples, "```", "");
  return lines;
}
