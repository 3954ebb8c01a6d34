// SPDX-License-Identifier: Apache-2.0

/** `log play`: a recording in this terminal, which is as it was afterwards. */
import { systemClock } from "../../lib/clock.ts";
import { RESET_TERMINAL, TerminalFilter } from "../../lib/terminal/mod.ts";
import type { CastEvent } from "../../lib/recording/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { type Key, Player } from "./player.ts";
import { openFile, openSource, type Source } from "./source.ts";

const KEYS: Readonly<Record<string, Key>> = {
  " ": "pause",
  q: "leave",
  "\x03": "leave",
  "\x1d": "leave",
  "+": "faster",
  "=": "faster",
  "-": "slower",
  "\x1b[D": "back",
  "\x1b[C": "forth",
  "\x1b[B": "far-back",
  "\x1b[A": "far-forth",
  p: "marker-back",
  n: "marker-forth",
};
const ENTER = "\x1b[?1049h\x1b[H\x1b[2J";
/** Recordings are kept in memory while they are played, to go back in them. */
const MAX_CHARS = 256 * 1024 * 1024;

export const play: CommandHandler = async (call) => {
  const speed = numberOf(call.flags["speed"] ?? "1", "speed", 0.1, 100);
  const idle = numberOf(call.flags["idle-limit"] ?? "2", "idle-limit", 0, 86_400);
  const begin = timeOf(call.flags["from"] === undefined ? "0" : String(call.flags["from"]));
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) {
    throw new CliError("usage", "Cannot play: this is not a terminal", {
      hint: "`bureau log show` prints what happened as text",
    });
  }
  const named = call.args[0]!;
  if (named.endsWith(".cast")) {
    await playSource(call, await openFile(named), { speed, idle, begin });
    return { file: named };
  }
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const principal = principalOf(session, named);
    const source = await openSource(daemon, principal, call.args[1], call.signal);
    await playSource(call, source, { speed, idle, begin });
    return { principal, recordings: source.recordings };
  } finally {
    daemon.close();
  }
};

interface Manner {
  readonly speed: number;
  /** Seconds. */
  readonly idle: number;
  /** Milliseconds. */
  readonly begin: number;
}

async function playSource(
  call: Invocation,
  source: Source,
  { speed, idle, begin }: Manner,
): Promise<void> {
  const events = [];
  let chars = 0;
  for await (const event of source.events) {
    events.push(event);
    chars += event.data.length;
    if (chars <= MAX_CHARS) continue;
    throw new CliError("too-large", "Cannot play so much at once: it does not fit into memory", {
      hint: "play one of its parts; `bureau log list NAME` shows them",
    });
  }
  const marker = call.flags["to-marker"];
  const from = marker === undefined ? begin : markerAt(events, String(marker));
  const { columns, rows } = Deno.consoleSize();
  if (columns < source.cols || rows < source.rows) {
    console.error(
      `it was ${source.cols}x${source.rows}, this terminal is ${columns}x${rows}: make it larger`,
    );
  }
  const filter = new TerminalFilter();
  const player = new Player({
    events,
    speed,
    idleMs: idle * 1000,
    from,
    clock: systemClock,
    // Recordings were neutralised when they were made; what lies in files is not taken on trust.
    draw: (text) => write(filter.push(encode(text))),
    clear: () => write(encode(`${RESET_TERMINAL}${ENTER}`)),
  });
  const ended = await inRaw(player, call.signal);
  console.error(
    ended ? "the recording ends here" : `left after ${Math.round(player.at / 1000)} s`,
  );
}

async function inRaw(player: Player, signal: AbortSignal): Promise<boolean> {
  const leave = () => player.press("leave");
  signal.addEventListener("abort", leave, { once: true });
  Deno.addSignalListener("SIGHUP", leave);
  Deno.stdin.setRaw(true);
  try {
    write(encode(ENTER));
    readKeys((key) => player.press(key)).then(leave, leave);
    return await player.run();
  } finally {
    signal.removeEventListener("abort", leave);
    Deno.removeSignalListener("SIGHUP", leave);
    try {
      Deno.stdin.setRaw(false);
      write(encode(RESET_TERMINAL));
    } catch {
      // The terminal is gone.
    }
  }
}

/** @returns when the terminal is gone */
async function readKeys(press: (key: Key) => void): Promise<void> {
  const buffer = new Uint8Array(64);
  while (true) {
    const count = await Deno.stdin.read(buffer);
    if (count === null) return;
    for (const key of keysOf(new TextDecoder().decode(buffer.subarray(0, count)))) press(key);
  }
}

/** Several may come at once. */
export function keysOf(typed: string): Key[] {
  // deno-lint-ignore no-control-regex -- arrow keys are escape sequences
  const pieces = typed.match(/\x1b\[[A-D]|[^]/g) ?? [];
  return pieces.flatMap((piece) => Object.hasOwn(KEYS, piece) ? [KEYS[piece]!] : []);
}

function numberOf(value: unknown, name: string, least: number, most: number): number {
  const number = Number(value);
  if (String(value).trim() !== "" && number >= least && number <= most) return number;
  throw new CliError("usage", `Cannot use --${name} "${value}": ${least} to ${most}`);
}

/**
 * Where a marker is, ms of the recording.
 * @param wanted its number as `log show --markers` has it, or words in it: the first that holds them
 * @throws {CliError} `no-such-marker`
 */
export function markerAt(events: readonly CastEvent[], wanted: string): number {
  const marks = events.filter(({ code }) => code === "m");
  const found = /^[1-9]\d{0,6}$/.test(wanted)
    ? marks[Number(wanted) - 1]
    : marks.find(({ data }) => data.toLowerCase().includes(wanted.toLowerCase()));
  if (found !== undefined) return found.at;
  throw new CliError("no-such-marker", `Cannot find a marker "${wanted}" in the recording`, {
    hint: "`bureau log show NAME --markers` lists them",
  });
}

/** `90`, `90s`, `5m`, `1h` in milliseconds. @throws {CliError} `usage` */
export function timeOf(text: string): number {
  const match = /^(\d{1,7})([smh]?)$/.exec(text);
  if (match === null) {
    throw new CliError("usage", `Cannot begin at "${text}": say 90s, 5m or 1h`);
  }
  return Number(match[1]) * ({ s: 1, m: 60, h: 3600 }[match[2]!] ?? 1) * 1000;
}

const encode = (text: string) => new TextEncoder().encode(text);

function write(bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
