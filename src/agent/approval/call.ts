// SPDX-License-Identifier: Apache-2.0

/** A tool call as its permission: what kind of thing it does, and to what. */
import type { Permission } from "../../lib/approval/types.ts";
import { lex } from "../guardian/words.ts";

export interface GatedCall {
  readonly tool: string;
  readonly permission: Permission;
  /** The command, the path, the address. */
  readonly resource: string;
  /** What the asker says why, in its own words; absent: nothing. */
  readonly reason?: string;
}

/** These change nothing, under Bureau's own names and those of Claude Code and Codex; tools of MCP servers have others. */
const READERS: ReadonlySet<string> = new Set([
  ..."read list grep glob load-skill load_skill".split(" "),
  ..."bureau_whoami bureau_grants bureau_rooms_list bureau_rooms_members bureau_rooms_directory"
    .split(" "),
  // The second says how one is, the third is the question itself.
  ..."bureau_messages_read bureau_attention_set bureau_leave_ask".split(" "),
  ..."Read LS Grep Glob NotebookRead TodoRead TodoWrite BashOutput TaskOutput Skill".split(" "),
]);
const WRITERS: ReadonlySet<string> = new Set(
  "write edit Write Edit MultiEdit NotebookEdit fileChange apply_patch".split(" "),
);
const SHELLS: ReadonlySet<string> = new Set("bash Bash commandExecution exec shell".split(" "));
const FETCHERS: ReadonlySet<string> = new Set("WebFetch WebSearch web_search fetch".split(" "));

const GIT_WRITES: ReadonlySet<string> = new Set(
  ("add am apply branch checkout cherry-pick clean clone commit config fetch gc init merge mv notes prune pull push " +
    "rebase reflog remote replace reset restore revert rm stash submodule switch tag update-index update-ref worktree")
    .split(" "),
);

/** @returns null: it changes nothing, and needs nobody's leave */
export function gatedCall(tool: string, input: unknown): GatedCall | null {
  return READERS.has(tool) ? null : describedCall(tool, input);
}

/** Of whatever somebody asks leave for, also where it only reads. */
export function describedCall(tool: string, input: unknown): GatedCall {
  const field = (...names: readonly string[]): string => {
    const given = (input ?? {}) as Readonly<Record<string, unknown>>;
    for (const name of names) {
      const value = given[name];
      if (typeof value === "string" && value !== "") return value;
      // Codex gives a command as its words.
      if (Array.isArray(value)) return value.map(String).join(" ");
    }
    return JSON.stringify(input) ?? "";
  };
  if (WRITERS.has(tool)) {
    return {
      tool,
      permission: "write-file",
      resource: field("path", "file_path", "notebook_path"),
    };
  }
  if (FETCHERS.has(tool)) return { tool, permission: "http", resource: field("url", "query") };
  if (SHELLS.has(tool)) {
    const resource = field("command");
    return { tool, permission: permissionOf(resource), resource };
  }
  return { tool, permission: "other", resource: field() };
}

/** Of what can't be said plainly: a command. */
function permissionOf(command: string): Permission {
  const lexed = lex(command);
  if ("why" in lexed) return "execute-command";
  const firsts = lexed.commands.map(([name, second]) => [name, second] as const);
  if (firsts.some(([name]) => name === "rm" || name === "rmdir" || name === "unlink")) {
    return "delete";
  }
  return firsts.some(([name, second]) => name === "git" && GIT_WRITES.has(second ?? ""))
    ? "git-write"
    : "execute-command";
}
