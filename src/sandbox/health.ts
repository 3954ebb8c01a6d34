// SPDX-License-Identifier: Apache-2.0

/**
 * Health checks without another right for anybody: a shell beside the agent, in its sandbox and under all that
 * holds for it, tries and writes each outcome to a pipe; a shell outside of the sandbox, in its cell, counts them.
 */
import { type HealthCheck, healthTimes } from "../lib/schema/health.ts";
import { quoteWord } from "./words.ts";

/** In the contract directory. */
export const HEALTH_SCRIPT = "health.sh";
/** In the directory of the tmux socket: how many tries there were, good and bad ones in a row, and the last status. */
export const HEALTH_FILE = "health";
/** The pipe, in both shells. */
const FD = 5;

/** What runs in the sandbox. It ends with it. */
export function healthScript(check: HealthCheck): string {
  const { interval, timeout } = healthTimes(check);
  return `#!/bin/sh
# Tries whether the agent works, and tells its launcher.
PATH=$PATH:/usr/bin:/bin
probe() {
  ${probeLine(check, timeout)}
}
while :; do
  probe ${FD}>&-
  echo $? >&${FD}
  sleep ${interval}
done
`;
}

function probeLine({ command, http, file }: HealthCheck, seconds: number): string {
  if (command !== undefined) {
    return `timeout -k 1 ${seconds} ${command.map(quoteWord).join(" ")}`;
  }
  if (http !== undefined) {
    const { socket, port, path = "/health" } = http;
    return [
      `timeout -k 1 ${seconds} curl --silent --fail --globoff --noproxy '*' --output /dev/null`,
      ...(socket === undefined ? [] : [`--unix-socket ${quoteWord(socket)}`]),
      quoteWord(`http://127.0.0.1${port === undefined ? "" : `:${port}`}${path}`),
    ].join(" ");
  }
  const { path, max_age_seconds: age } = file!;
  // A shell that can't count has no answer, which is none of the agent's health.
  return `at=$(timeout -k 1 ${seconds} stat -L -c %Y -- ${
    quoteWord(path)
  }) && [ $(($(date +%s) - at)) -le ${age} ]`;
}

/** Of the sandbox's first shell: starts the tries as nobody's child. */
export const STARTS_HEALTH =
  `(/bin/sh /run/bureau/contract/${HEALTH_SCRIPT} </dev/null >/dev/null 2>&1 &) ; exec ${FD}>&-; `;

/** Of the pane's shell, before the sandbox: makes the pipe, and counts what comes. @param dir of the tmux socket */
export function countsHealth(dir: string): string {
  const file = `${dir}/${HEALTH_FILE}`;
  return `rm -f ${file} ${file}.pipe && mkfifo -m 600 ${file}.pipe && exec ${FD}<>${file}.pipe
(
  tries=0 good=0 bad=0
  while read -r code <&${FD}; do
    case $code in
      [0-9] | [0-9][0-9] | [0-9][0-9][0-9]) ;;
      *) code=255 ;;
    esac
    tries=$((tries + 1))
    if [ "$code" = 0 ]; then good=$((good + 1)) bad=0; else good=0 bad=$((bad + 1)); fi
    echo "$tries $good $bad $code" >${file}.new && mv ${file}.new ${file}
  done
) </dev/null >/dev/null 2>&1 &
counter=$!`;
}
