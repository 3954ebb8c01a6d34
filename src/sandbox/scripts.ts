// SPDX-License-Identifier: Apache-2.0

/** Shell scripts that the launcher has run in a tmux cell, to reach what is nested in it. */

/** Reaches the agent itself with SIGTERM: bwrap would not pass it on (W-37). Run in the tmux cell. */
export const STOP_SCRIPT = `#!/bin/sh
# Prints nothing; $1 is the pane's pid, $2 another signal.
signal=\${2:-TERM}
walk() {
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    read -r name <"/proc/$child/comm" || continue
    if [ "$name" = script ]; then
      kill -"$signal" $(cat "/proc/$child/task/$child/children") 2>/dev/null
    else
      walk "$child"
    fi
  done
}
walk "$1"
`;

/**
 * Sends SIGHUP to the agent itself, as soon as it catches that: whoever does not would be ended by it. $1 is
 * the pane's pid. Run in the tmux cell.
 */
export const RELOAD_SCRIPT = `#!/bin/sh
tell() {
  tries=150
  while [ $tries -gt 0 ]; do
    # The last hexadecimal digit has the bit of signal 1.
    case $(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) in
      "") return ;;
      *[13579bdf]) kill -HUP "$1"; return ;;
    esac
    tries=$((tries - 1))
    sleep 0.2
  done
}
walk() {
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    read -r name <"/proc/$child/comm" || continue
    if [ "$name" = script ]; then
      for agent in $(cat "/proc/$child/task/$child/children" 2>/dev/null); do tell "$agent"; done
    else
      walk "$child"
    fi
  done
}
walk "$1"
`;

/**
 * Tells `script` that the terminal has a new size: the sandbox's session has no controlling terminal, so
 * the kernel tells nobody. tmux 3.3a runs its hook first and gives the pane its size up to a quarter of a
 * second later, so this tells it again then. $1 is the pane's pid. Run in the tmux cell.
 */
export const RESIZE_SCRIPT = `#!/bin/sh
walk() {
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    read -r name <"/proc/$child/comm" || continue
    if [ "$name" = script ]; then kill -WINCH "$child" 2>/dev/null; else walk "$child"; fi
  done
}
for pause in 0 0.3 0.7; do
  sleep "$pause"
  walk "$1"
done
`;
