// SPDX-License-Identifier: Apache-2.0

/** Reads the commands out of a page of documentation. */

export interface DocumentedCommand {
  readonly page: string;
  /** From 1. */
  readonly line: number;
  /** Without a comment at its end. */
  readonly text: string;
}

/** @returns each command line of each `sh` block, in order */
export function commandsOf(page: string, markdown: string): DocumentedCommand[] {
  const commands: DocumentedCommand[] = [];
  let language: string | null = null;
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence !== null) language = language === null ? fence[1]!.trim() : null;
    else if (language === "sh") {
      const text = withoutComment(line);
      if (text !== "") commands.push({ page, line: index + 1, text });
    }
  }
  return commands;
}

/** As the shell sees a comment: a `#` that begins a word outside of quotes. */
function withoutComment(line: string): string {
  const match = /^(?:[^\s"'#]+|"[^"]*"|'[^']*'|\s+(?!#)|(?<=\S)#)*/.exec(line);
  return (match?.[0] ?? "").trim();
}
