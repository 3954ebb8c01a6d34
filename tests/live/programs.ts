// SPDX-License-Identifier: Apache-2.0

/** Agents that work with a model, whosesoever they are: what their tests and a run with real models tell them apart by. */

export interface Program {
  readonly name: "claude" | "codex" | "native" | "native-openai";
  readonly provider: "anthropic" | "openai";
  /** Built in. */
  readonly template: string;
  /** What must be fetched for it; null: it comes with Bureau. */
  readonly installed: "claude" | "codex" | null;
  readonly credential: string;
  /** Where its model really is. */
  readonly url: string;
  /** Behind which a stand-in is, below its address. */
  readonly path: string;
  /** A small model, which its real provider has and a stand-in takes. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** The command line of what drives it; with it its sandbox ends. */
  readonly driver: RegExp;
  /** Calls of its tools, as its model makes them. */
  readonly tools: {
    /** Of `one` in notes.txt an `ONE`. */
    readonly edits: readonly Call[];
    shell(command: string): Call;
  };
}

export type Call = readonly [name: string, input: Record<string, unknown>];

const ANTHROPIC = "https://api.anthropic.com";
const OPENAI = "https://api.openai.com/v1";
const PATCH = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one\n+ONE\n*** End Patch";

const driven = (name: string) => new RegExp(`^/opt/bureau/deno .*/opt/agent/driver\\.js ${name} `);
const NATIVE = {
  installed: null,
  driver: /^\/opt\/bureau\/deno run .*native\.js/,
  tools: {
    edits: [
      ["read", { path: "notes.txt" }],
      ["edit", { path: "notes.txt", old: "one", new: "ONE" }],
    ],
    shell: (command: string): Call => ["bash", { command }],
  },
} as const;

export const CLAUDE: Program = {
  name: "claude",
  provider: "anthropic",
  template: "agent-claude",
  installed: "claude",
  credential: "claude",
  url: ANTHROPIC,
  path: "",
  payload: { model: "claude-haiku-4-5" },
  driver: driven("claude"),
  tools: {
    edits: [
      ["Read", { file_path: "/workspace/notes.txt" }],
      ["Edit", { file_path: "/workspace/notes.txt", old_string: "one", new_string: "ONE" }],
    ],
    shell: (command) => ["Bash", { command, description: "does it" }],
  },
};

export const CODEX: Program = {
  name: "codex",
  provider: "openai",
  template: "agent-codex",
  installed: "codex",
  credential: "codex",
  url: OPENAI,
  path: "/v1",
  // Its newest models call tools by programs of their own; the stand-in has no such.
  payload: { model: "gpt-5-codex" },
  driver: driven("codex"),
  tools: {
    edits: [
      ["exec_command", { cmd: "cat notes.txt" }],
      ["exec_command", { cmd: `apply_patch <<'EOF'\n${PATCH}\nEOF` }],
    ],
    shell: (cmd) => ["exec_command", { cmd }],
  },
};

export const PROGRAMS: readonly Program[] = [
  CLAUDE,
  CODEX,
  {
    ...NATIVE,
    name: "native",
    provider: "anthropic",
    template: "agent-native",
    credential: "anthropic",
    url: ANTHROPIC,
    path: "",
    payload: { model: "claude-haiku-4-5" },
  },
  {
    ...NATIVE,
    name: "native-openai",
    provider: "openai",
    template: "agent-native-openai",
    credential: "openai",
    url: OPENAI,
    path: "/v1",
    payload: { model: "gpt-5-mini" },
  },
];
