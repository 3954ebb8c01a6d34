// SPDX-License-Identifier: Apache-2.0

/** `docs/reference/events.md` and `docs/reference/templates.md`. */
import { whoIsBelieved } from "../../src/messaging/speaker.ts";
import * as schema from "../../src/lib/schema/mod.ts";
import { EXAMPLES } from "../../src/lib/schema/testing/examples.ts";
import { readDocstrings } from "./docstrings.ts";
import { cell, Sections, table } from "./fields.ts";
import { readMergeRules } from "./merge_rules.ts";

const root = import.meta.dirname!.replace(/\/tasks\/reference$/, "");
const MACHINE = "@m:s";
const OWN = ["m.bureau.example"];

/** By kind of room: who made its power levels. */
const ROOMS = {
  configPowerLevels: schema.configPowerLevels([], MACHINE),
  templatePowerLevels: schema.templatePowerLevels([]),
  fleetPowerLevels: schema.fleetPowerLevels([]),
  machinePowerLevels: schema.machinePowerLevels([], [MACHINE]),
  servicePowerLevels: schema.servicePowerLevels([], [MACHINE]),
  systemPowerLevels: schema.systemPowerLevels([], [MACHINE]),
  workspacePowerLevels: schema.workspacePowerLevels([], [MACHINE]),
  agentPowerLevels: schema.agentPowerLevels([], OWN),
};

const nameOfRoom = (name: string) => name.replace("PowerLevels", "");

export interface Rendered {
  readonly events: string;
  readonly templates: string;
  /** Fields that nothing is said about in their schema. */
  readonly undescribed: readonly string[];
}

const EXAMPLE = `description: Answers in its room, and fetches from PyPI
inherits: ["bureau/template:networked"]
command: [/usr/bin/python3, /workspace/answer.py]
environment_variables: { LANG: C.UTF-8 }
filesystem:
  - { source: "\${WORKSPACE}", dest: /workspace, mode: ro }
create_dirs: [/scratch]
resources: { memory_limit_mb: 512, cpu_quota_percent: 100 }
egress: { allow: ["preset:pypi"], ask: ["*:443"] }
secrets:
  - { key: API_TOKEN, env: API_TOKEN }
budgets: { day: { cost_usd: 5 } }
health: { file: { path: /scratch/alive, max_age_seconds: 60 } }
restart_policy: on-failure
`;

async function schemaFiles(): Promise<string[]> {
  const dir = `${root}/src/lib/schema`;
  const entries = await Array.fromAsync(Deno.readDir(dir));
  return entries.filter(({ name, isFile }) => isFile && /^\w+(?<!_test)\.ts$/.test(name))
    .map(({ name }) => `${dir}/${name}`).sort();
}

export async function renderEvents(): Promise<Rendered> {
  const docs = await readDocstrings(await schemaFiles());
  const types = Object.values(schema.EventType).sort();
  const typeOf = new Map<string, string>();
  const inTemplates = new Set<string>();
  const anchor = (name: string) => {
    const type = inTemplates.has(name) ? undefined : typeOf.get(name);
    return type === undefined ? name.toLowerCase() : type.replaceAll(".", "");
  };
  const from = (page: "events" | "templates") => (name: string) => {
    const there = inTemplates.has(name) ? "templates" : "events";
    return `[${name}](${there === page ? "" : `${there}.md`}#${anchor(name)})`;
  };
  const shown = new Sections(schema, docs, from("events"));
  const known = types.filter(schema.isKnownType);
  // The first type of two with one schema has its section.
  for (const type of known.toReversed()) typeOf.set(shown.nameOf(schema.schemas[type]), type);
  typeOf.delete("Template");
  for (const name of closure(shown, ["Template"])) inTemplates.add(name);

  const parts = closure(shown, known.map((type) => shown.nameOf(schema.schemas[type])))
    .filter((name) => !typeOf.has(name) && !inTemplates.has(name));
  const events = [
    "# Events",
    "",
    "Generated from `src/lib/schema` by `deno task docs`: what Bureau reads and writes in rooms. A state key that is a user is a user id",
    "without its `@`. A reader drops fields that it doesn't know, refuses a `version` that it doesn't know, and takes content without a field for",
    "state that was cleared. A power level says who may *send*; whose word *counts* is checked besides, by every reader.",
    "",
    "## Rooms",
    "",
    "State is at level 100 in every room, unless it stands here. Machines have level 50 in the rooms that they write in.",
    "",
    "| room | what it is | open below 100 |",
    "|---|---|---|",
    ...Object.entries(ROOMS).map(([name, levels]) =>
      `| ${nameOfRoom(name)} | ${cell(firstParagraph(docs.get(name)!.text))} | ${opened(levels)} |`
    ),
    "",
    "## State events",
    "",
    ...types.flatMap((type) => {
      const about = docs.get("EventType")!.fields.get(
        Object.entries(schema.EventType).find(([, value]) => value === type)![0],
      )!.text;
      const head = [`### ${type}`, ""];
      const who = [`Believed from ${whoIsBelieved(type)}. ${levelOf(type)}`, ""];
      if (!schema.isKnownType(type)) return [...head, about, "", ...who];
      const name = shown.nameOf(schema.schemas[type]);
      if (name === "Template") {
        return [
          ...head,
          shown.textOf(name),
          "",
          ...who,
          "Its fields: [templates](templates.md).",
          "",
        ];
      }
      const { key: state_key, speaker: sender, content } = EXAMPLES[type];
      const example = JSON.stringify({ type, state_key, sender, content }, null, 2);
      return [
        ...[...head, shown.textOf(name), "", ...who, ...table(shown.rows(name))],
        ...["```json", example, "```", ""],
      ];
    }),
    "## Parts",
    "",
    ...parts.flatMap((name) => section(shown, name)),
    "## Messages",
    "",
    "What Bureau's programs say in rooms is an ordinary `m.notice` with a sentence for people, and one of these fields for programs.",
    "",
    ...Object.entries(schema.NOTICES).flatMap(([kind, notice]) => [
      `### m.bureau.${kind}`,
      "",
      ...sentence(docs.get("NOTICES")?.fields.get(kind)?.text),
      ...table(shown.rowsOf(kind, notice, docs.get("NOTICES")?.fields.get(kind))),
    ]),
    "### m.bureau.audit",
    "",
    docs.get("AUDIT")!.text,
    "",
    ...table(shown.rows("AuditEvent")),
  ];

  const inside = new Sections(schema, docs, from("templates"));
  const rules = await readMergeRules(`${root}/src/lib/template/merge.ts`);
  const rows = inside.rows("Template");
  const templates = [
    "# Templates: every field",
    "",
    "Generated from `src/lib/schema` and `src/lib/template/merge.ts` by `deno task docs`. How templates are written, pushed and changed: [the guide](../guide/templates.md).",
    "No field is required. *Inherited* says what becomes of a parent's and a child's: a field of a field goes with the whole.",
    "",
    "| field | type | inherited | what it is |",
    "|---|---|---|---|",
    ...rows.map(({ path, type, text }) => {
      const rule = path === "inherits" ? "not carried over" : rules.get(path) ?? "";
      return `| \`${path}\` | ${cell(type)} | ${rule} | ${cell(text)} |`;
    }),
    "",
    ...["## Example", "", "```yaml", EXAMPLE.trimEnd(), "```", ""],
    ...["## Parts", ""],
    ...[...inTemplates].filter((name) => name !== "Template").flatMap((name) =>
      section(inside, name)
    ),
  ];
  return {
    events: events.join("\n"),
    templates: templates.join("\n"),
    undescribed: [...new Set([...shown.undescribed, ...inside.undescribed])],
  };
}

/** These and all that they lead to, in the order in which they are met. */
function closure(sections: Sections, names: readonly string[]): string[] {
  const met = new Set<string>();
  const visit = (name: string) => {
    if (met.has(name)) return;
    met.add(name);
    sections.rows(name, visit);
  };
  names.forEach(visit);
  return [...met];
}

function section(sections: Sections, name: string): string[] {
  return [`### ${name}`, "", sections.textOf(name), "", ...table(sections.rows(name))];
}

function opened(levels: schema.PowerLevels): string {
  const open = Object.entries(levels.events).filter(([, level]) => level < schema.Power.admin)
    .map(([type, level]) =>
      OWN.includes(type) ? `what its template names: ${level}` : `\`${type}\`: ${level}`
    );
  if (levels.events_default < schema.Power.admin) open.push(`messages: ${levels.events_default}`);
  return open.join(", ");
}

function levelOf(type: string): string {
  const open = Object.entries(ROOMS).filter(([, { events }]) =>
    (events[type] ?? schema.Power.admin) < schema.Power.admin
  );
  if (open.length === 0) {
    const guarded = schema.agentPowerLevels([], [type]).events[type] === schema.Power.admin;
    return guarded
      ? "Level 100."
      : "Level 100, or 0 in an agent's room where its template says so.";
  }
  return open.map(([name, { events }]) => `Level ${events[type]} in the ${nameOfRoom(name)} room.`)
    .join(" ");
}

const firstParagraph = (text: string) => text.split(/\n\n|\n@/)[0]!.replaceAll("\n", " ");

const sentence = (
  text: string | undefined,
) => (text === undefined || text === "" ? [] : [text, ""]);
