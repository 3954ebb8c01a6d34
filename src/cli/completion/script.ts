// SPDX-License-Identifier: Apache-2.0

/**
 * `completion`: what a shell reads at its start. Where there is no program `bureau`, it makes that name one, too:
 * completion needs a name, and a checkout has `sh tasks/bureau`.
 */
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

const BASH = `_bureau() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == $'\\t'* ]]; then compopt -o default; else COMPREPLY+=("\${line%%$'\\t'*}"); fi
  done < <(bureau complete --breaks "$COMP_WORDBREAKS" --line "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _bureau bureau`;

const ZSH = `_bureau() {
  local -a lines described
  local line files=
  lines=("\${(@f)$(bureau complete --words "\${(F)\${(@Q)words[1,CURRENT-1]}}
\${(Q)PREFIX}
" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == $'\\t'* ]]; then files=yes; else
      described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done
  (( $#described )) && _describe -V bureau described
  [[ -z $files ]] || _files
}
if ! (( $+functions[compdef] )); then autoload -Uz compinit && compinit; fi
compdef _bureau bureau`;

const FISH = `function __bureau_complete
    set -l word (commandline -ct)
    set -l words (commandline -opc) (string unescape -- $word; or string collect -- $word)
    for line in (bureau complete --words (string join \\n -- $words | string collect --no-trim-newlines) 2>/dev/null)
        if string match -q \\t'*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c bureau -f -a '(__bureau_complete)'`;

const SHELLS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const completion: CommandHandler = (call) => {
  const [shell = ""] = call.args;
  const script = SHELLS[shell];
  if (script === undefined) {
    throw new CliError("usage", `Cannot complete in "${shell}": it is none of ${known}`);
  }
  const program = String(call.flags["program"] ?? "");
  call.emit([
    `# Completion of \`bureau\` for ${shell}, by \`bureau completion ${shell}\`.`,
    ...(program === "" ? [] : [nameIt(shell, program)]),
    script,
  ].join("\n"));
  return Promise.resolve(undefined);
};

const known = Object.keys(SHELLS).join(", ");

/** A program of that name is better than ours: it was installed. */
function nameIt(shell: string, program: string): string {
  const quoted = `'${program.replaceAll("'", `'\\''`)}'`;
  if (shell !== "fish") {
    return `command -v bureau >/dev/null || bureau() { sh ${quoted} "$@"; }`;
  }
  const word = `'${program.replace(/[\\']/g, "\\$&")}'`;
  return `command -q bureau; or function bureau; sh ${word} $argv; end`;
}
