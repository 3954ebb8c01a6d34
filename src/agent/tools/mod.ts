// SPDX-License-Identifier: Apache-2.0

/** What the native agent can do: files, commands, skills, and the tools of MCP servers. */
import { bash } from "./bash.ts";
import { edit, list, read, write } from "./files.ts";
import { glob, grep } from "./search.ts";
import type { Tool } from "./tool.ts";

export { type BoxOptions, type Gate, ToolBox } from "./box.ts";
export { findSkills, type Skill, skillTool } from "./skills.ts";
export { defineTool, type Tool, type ToolContext, ToolError, type ToolOutput } from "./tool.ts";

export const builtinTools: readonly Tool[] = [bash, read, write, edit, list, grep, glob];
