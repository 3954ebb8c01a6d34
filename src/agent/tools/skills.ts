// SPDX-License-Identifier: Apache-2.0

/** Skills: folders with a SKILL.md, whose head is known to the model and whose text it asks for. */
import { defineTool, type Tool, ToolError } from "./tool.ts";
import { capped } from "./cap.ts";

export interface Skill {
  readonly name: string;
  readonly description: string;
  /** Of its folder. */
  readonly dir: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_SKILLS = 200;

/** @param text of a SKILL.md @returns the fields of its head and what follows it */
export function parseSkill(text: string): { head: Record<string, string>; body: string } {
  const match = /^\uFEFF?---\r?\n([^]*?)\r?\n---\r?\n?/.exec(text);
  if (match === null) return { head: {}, body: text };
  const head: Record<string, string> = {};
  let last = "";
  for (const line of match[1]!.split(/\r?\n/)) {
    const field = /^([A-Za-z][\w-]*):\s*(.*)$/.exec(line);
    if (field !== null) {
      last = field[1]!;
      // A block goes on in the lines below it.
      head[last] = /^[|>][+-]?$/.test(field[2]!) ? "" : field[2]!.replace(/^(["'])(.*)\1$/, "$2");
    } else if (last !== "" && /^\s+\S/.test(line)) {
      head[last] = `${head[last]} ${line.trim()}`.trim();
    }
  }
  return { head, body: text.slice(match[0].length) };
}

/** Skills of a directory; none where there is no such directory. What can't be read is left out. */
export async function findSkills(dir: string): Promise<Skill[]> {
  const found: Skill[] = [];
  try {
    for await (const { name } of Deno.readDir(dir)) {
      if (!NAME.test(name) || found.length >= MAX_SKILLS) continue;
      const text = await Deno.readTextFile(`${dir}/${name}/SKILL.md`).catch(() => null);
      if (text === null) continue;
      const { head } = parseSkill(text);
      found.push({
        name,
        description: (head["description"] ?? "").slice(0, 500),
        dir: `${dir}/${name}`,
      });
    }
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

export function skillTool(skills: readonly Skill[]): Tool {
  const names = skills.map(({ name, description }) => `${name}: ${description}`).join("\n");
  return defineTool({
    name: "load_skill",
    description:
      `Gives the instructions of a skill, or another file of its folder. Load it before work that it is for.\n${names}`,
    isReadOnly: true,
    properties: {
      name: { type: "string", description: "The skill's name" },
      file: { type: "string", description: "A file of its folder; default SKILL.md" },
    },
    required: ["name"],
    run: async ({ name, file = "SKILL.md" }) => {
      const skill = skills.find((each) => each.name === name);
      if (skill === undefined) {
        throw new ToolError(
          `there is no skill "${name}"; there are ${skills.map((s) => s.name).join(", ")}`,
        );
      }
      if (file.startsWith("/") || file.split("/").includes("..")) {
        throw new ToolError(`"${file}" is not in the skill's folder`);
      }
      const text = await Deno.readTextFile(`${skill.dir}/${file}`).catch(() => {
        throw new ToolError(`the skill "${name}" has no text file "${file}"`);
      });
      const body = file === "SKILL.md" ? parseSkill(text).body : text;
      return capped(`(the skill's folder is ${skill.dir})\n${body}`);
    },
  });
}
