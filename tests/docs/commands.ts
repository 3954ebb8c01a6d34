// SPDX-License-Identifier: Apache-2.0

/** Reads what a page of documentation shows: blocks of code, and the commands among them. */

export interface Block {
  readonly page: string;
  /** Of its first line, from 1. */
  readonly line: number;
  /** `sh`, `json`, …; empty: nobody said. */
  readonly language: string;
  readonly lines: readonly string[];
}

export interface DocumentedCommand {
  readonly page: string;
  /** From 1. */
  readonly line: number;
  /** Without a comment at its end. */
  readonly text: string;
}

/** @returns every fenced block, and every indented one, whose language nobody can say */
export function blocksOf(page: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; language: string; lines: string[]; fenced: boolean } | null = null;
  let before = "";
  const close = () => {
    if (open !== null) blocks.push({ page, ...open });
    open = null;
  };
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    const block = { line: index + 1, lines: [line] };
    if (fence !== null) {
      const ends = open?.fenced === true;
      close();
      if (!ends) {
        open = { line: index + 2, language: fence[1]!.trim(), lines: [], fenced: true };
      }
    } else if (open?.fenced) open.lines.push(line);
    else if (/^ {4}/.test(line) && open !== null) open.lines.push(line);
    // After text or in a list four blanks are no code.
    else if (/^ {4}\S/.test(line) && before === "") {
      open = { ...block, language: "", fenced: false };
    } else close();
    before = line;
  }
  close();
  return blocks.map(({ page, line, language, lines }) => ({ page, line, language, lines }));
}

/** @returns each command of each `sh` block, in order; one that goes on after a `\` is one */
export function commandsOf(page: string, markdown: string): DocumentedCommand[] {
  return blocksOf(page, markdown).filter(({ language }) => language === "sh").flatMap((block) => {
    const commands: DocumentedCommand[] = [];
    let begun = "";
    for (const [index, line] of block.lines.entries()) {
      if (line.endsWith("\\")) {
        begun += line.slice(0, -1);
        continue;
      }
      const text = withoutComment(begun + line.trimStart());
      begun = "";
      if (text !== "") commands.push({ page, line: block.line + index, text });
    }
    return commands;
  });
}

/** As the shell sees a comment: a `#` that begins a word outside of quotes. */
function withoutComment(line: string): string {
  const match = /^(?:[^\s"'#]+|"[^"]*"|'[^']*'|\s+(?!#)|(?<=\S)#)*/.exec(line);
  return (match?.[0] ?? "").trim();
}
