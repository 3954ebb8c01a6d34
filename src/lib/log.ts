// SPDX-License-Identifier: Apache-2.0

/** One JSON object a line on stderr: `{time, level, component, msg, …fields}`. */
export type Level = "debug" | "info" | "warn" | "error";

/** Values that may be logged. A secret is never one of them. */
export type Field = string | number | boolean | null | undefined | readonly string[];

export interface Logger {
  debug(msg: string, fields?: Record<string, Field>): void;
  info(msg: string, fields?: Record<string, Field>): void;
  warn(msg: string, fields?: Record<string, Field>): void;
  error(msg: string, fields?: Record<string, Field>): void;
  with(fields: Record<string, Field>): Logger;
}

const encoder = new TextEncoder();

/** Writes one whole line, so that lines of several processes never interleave within a file. */
function writeStderr(line: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(line + "\n"));
  } catch {
    // A closed stderr must not end a process that is otherwise healthy.
  }
}

/** @param component the process or part that speaks, e.g. `daemon` */
export function createLogger(
  component: string,
  base: Record<string, Field> = {},
  write: (line: string) => void = writeStderr,
): Logger {
  const emit = (level: Level, msg: string, fields: Record<string, Field> = {}) =>
    write(
      JSON.stringify({
        time: new Date().toISOString(),
        level,
        component,
        msg,
        ...base,
        ...fields,
      }),
    );
  return {
    debug: (m, f) => emit("debug", m, f),
    info: (m, f) => emit("info", m, f),
    warn: (m, f) => emit("warn", m, f),
    error: (m, f) => emit("error", m, f),
    with: (fields) => createLogger(component, { ...base, ...fields }, write),
  };
}
