// SPDX-License-Identifier: Apache-2.0

/**
 * The scripts of a cell that no tmux is in: one sandbox, on the caller's terminal or pipes. For bash, which
 * can close descriptors above 9.
 *
 * The caller's descriptors are 0, 1 and 2; on 4 come names of signals, a line each, and its end means that
 * whoever wanted the sandbox is gone.
 */
import { sandboxLine } from "../../sandbox/mod.ts";

/** Says on the control channel that the cell is made: what ends before that never started. */
export const STARTED = "started";

/** What the cell runs. */
export function runScript(terminal: boolean): string {
  return `#!/bin/bash
# Deno leaves copies of the caller's descriptors behind; what goes on has 0, 1, 2 and the control channel.
for path in /proc/self/fd/*; do
  case \${path##*/} in
    0 | 1 | 2 | 4 | 255) ;;
    *) eval "exec \${path##*/}>&-" ;;
  esac
done
echo ${STARTED} >&4

# The program itself: the first below what encloses it (bwrap, its init, its terminal).
program() {
  local child name
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    read -r name <"/proc/$child/comm" || continue
    case $name in
      bwrap | prlimit | script | tini | catatonit) program "$child" && return 0 ;;
      *)
        if inside "$child"; then echo "$child" && return 0; fi
        program "$child" && return 0
        ;;
    esac
  done
  return 1
}
# Of another process namespace than this script's.
inside() {
  [ "$(grep '^NSpid:' "/proc/$1/status" | wc -w)" -gt 2 ]
}
# Always in the background: a signal can't wait for the program's end.
control() {
  trap '' INT QUIT HUP TERM
  while read -r name; do
    pid=$(program $$) && kill "-$name" "$pid"
  done
  # Nobody is there any more. \`script\` puts the terminal back once its shell is gone; asked to end it takes seconds.
  for child in $(cat "/proc/$$/task/$$/children"); do
    read -r name <"/proc/$child/comm" && [ "$name" = script ] || continue
    kill -KILL $(cat "/proc/$child/task/$child/children")
  done
  sleep 1
  kill -KILL -1
}
# bwrap's init stays as long as anything else does.
finish() {
  kill -KILL -1 2>/dev/null
  exit "$1"
}
control <&4 >/dev/null 2>&1 4>&- &
exec 4>&-
${terminal ? ON_TERMINAL : ON_PIPES}`;
}

const ON_TERMINAL = `
saved=$(stty -g 2>/dev/null)
# When the launcher is killed the terminal is its shell's again, and setting it from here would stop us.
trap '' TTOU
inner='exec /usr/bin/env --default-signal=TTOU /bin/bash /cell/start.sh'
/usr/bin/script --quiet --return --flush --command "$inner" /dev/null
status=$?
[ -z "$saved" ] || stty "$saved"
finish "$status"
`;

/** A terminal among the pipes stays outside: the sandbox gets a pipe to or from `cat`. */
const ON_PIPES = `
with_input() {
  if [ -t 0 ]; then
    exec 6<&0
    /bin/bash /cell/start.sh 6<&- < <(exec cat <&6)
  else
    /bin/bash /cell/start.sh
  fi
}
with_output() {
  if [ -t 1 ]; then
    with_input | cat
    return "\${PIPESTATUS[0]}"
  fi
  with_input
}
if [ -t 2 ]; then
  { with_output 2>&1 >&5 5>&- | cat >&2 5>&-; status=\${PIPESTATUS[0]}; } 5>&1
else
  with_output
  status=$?
fi
finish "$status"
`;

/** Between the caller's terminal and the sandbox's: tells the inner one of a new size. */
const WATCH_SIZE = `
resized() {
  for path in /proc/[0-9]*; do
    read -r name <"$path/comm" || continue
    [ "$name" = script ] && [ "\${path#/proc/}" != "$PPID" ] && kill -WINCH "\${path#/proc/}"
  done 2>/dev/null
}
watch_size() {
  trap resized WINCH
  while :; do
    sleep 86400 &
    wait $!
    kill $! 2>/dev/null
  done
}
watch_size </dev/null >/dev/null 2>&1 &
`;

/** The sandbox itself, with its limits. */
export function startRunScript(
  command: readonly string[],
  pids: number,
  terminal: boolean,
  files?: number,
): string {
  return [
    "#!/bin/bash",
    terminal ? WATCH_SIZE.trim() : "",
    sandboxLine(command, pids, terminal ? "terminal" : "pipes", files),
    'exit "$?"',
    "",
  ].join("\n");
}
