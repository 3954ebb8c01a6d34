// SPDX-License-Identifier: Apache-2.0

/**
 * What a watcher sees is what stands there: a terminal drawn from nothing but the frames that it is sent,
 * against tmux's own words, while real programs are driven at random.
 *
 * Known differences: tmux 3.3a puts what zero-width joiners hold together (👩‍🔬) into one cell of two columns,
 * which xterm.js draws as two characters side by side: no text here has any. And `capture-pane` leaves out
 * cells that were erased in a colour, so blanks at a line's end are compared without their background; and it shows
 * DEC's line-drawing characters (ESC ( 0) as the letters that they are made from.
 */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { type TestWatcher, TmuxServer, until } from "./_session.ts";
import { Drawn, Screen } from "./testing/drawn.ts";
import { Running } from "./testing/front.ts";

const TEXT = Array.from(
  { length: 400 },
  (_, line) =>
    [
      `${line}: plain words in a line that is long enough to be broken where a screen is narrow`,
      `${line}:\ttabs\tand\tmore`,
      `${line}: 日本語 中文 한국어 full width ｆｕｌｌ`,
      `${line}: 🎉🚀🫠 emoji, e\u0301 combined, ñ, ─│┌┐ boxes`,
      `${line}: if (x) { return "\\"text"; } // comment`,
      "",
    ][line % 6],
).join("\n");

interface Program {
  readonly file: string;
  /** Given the text's path and a scratch directory. */
  readonly command: (text: string) => string[];
  readonly keys: readonly string[];
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  vim: {
    file: "/usr/bin/vim",
    command: (text) => ["/usr/bin/vim", "-u", "NONE", "-N", "-n", "-i", "NONE", text],
    keys: [
      ...["j", "k", "10j", "7k", "\x06", "G", "gg", "dd", "p", "u", "\x0c", "zz", "$", "0", "w"],
      ...["ix日本🎉e\u0301 é\x1b", ":set number!\r", ":set list!\r", ":vsplit\r", ":split\r"],
      ...[":only\r", "\x17w", "/plain\r", "n", "ofirst\rsecond\x1b", "xxx", ":set hlsearch!\r"],
      ...[":set wrap!\r", "VGd", "u", ":syntax on | set ft=c\r", "\x05", "\x19", "~", "J"],
    ],
  },
  less: {
    file: "/usr/bin/less",
    command: (text) => ["/usr/bin/less", "-R", text],
    keys: [
      ...["j", "k", "f", "b", "G", "g", "/plain\r", "n", "N", "\x0c", "d", "u", "-S\r", "50%"],
      ...["?emoji\r", "\x1b)", "\x1b(", "-N\r", "200g"],
    ],
  },
  top: {
    file: "/usr/bin/top",
    command: () => ["/usr/bin/top", "-d", "3600"],
    keys: ["c", "1", "m", "t", "z", "x", "b", "M", "P", "\x0c", "<", ">", "H", "i", "E"],
  },
  htop: {
    file: "/usr/bin/htop",
    command: () => ["/usr/bin/htop", "-d", "100"],
    keys: ["H", "t", "K", "\x1b[A", "\x1b[B", "M", "P"],
  },
  shell: {
    file: "/bin/bash",
    command: () => ["/bin/bash", "--norc", "--noprofile"],
    keys: [
      ...["echo hello\r", "seq 1 200\r", "clear\r", "printf '\\033[41;97mred\\033[K\\033[0m\\n'\r"],
      ...["printf '\\033[?1049h\\033[Halternate'\r", "printf '\\033[?1049l'\r"],
      ...["printf '\\033[2;5r\\033[4;1Hx\\n\\n\\ny\\033[r\\n'\r", "echo 日本語🎉e\u0301\r", "\x03"],
      ...["printf '\\033[5;10H\\033[1J\\033[7m%80s\\033[0m\\n' wide\r", "\x15", "abc\x7f"],
      ...["printf '\\033[3;4;9;38;5;200mstyles\\033[0m ┌──┐\\n'\r", "\x01", "\x05"],
    ],
  },
};

const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)]!;

/** Cells with their colours, from either side, as one text. */
async function expected(tmux: TmuxServer): Promise<{ text: string; look: string[]; at: string }> {
  const format = "#{cursor_x},#{cursor_y},#{window_width},#{window_height}";
  const answer = await tmux.tmux("display-message", "-p", "-t", "=agent:", format);
  const [x, y, cols, rows] = answer.split(",").map(Number) as [number, number, number, number];
  const text = await tmux.screen();
  const coloured = await tmux.raw("capture-pane", "-p", "-e", "-N", "-t", "=agent:");
  const screen = new Screen({ cols, rows });
  // Line by line to its place: what fills a line would wrap.
  coloured.replace(/\n$/, "").split("\n").forEach((line, y) =>
    screen.write(new TextEncoder().encode(`\x1b[${y + 1};1H${line}`))
  );
  const at = `${Math.min(x, cols - 1)},${y},${cols},${rows}`;
  return { text: text.trimEnd(), look: screen.look, at };
}

const withoutErased = (line: string) => line.replace(/(?:\{(?:on [^}]*)?\}| )+$/, "");

async function compare(
  tmux: TmuxServer,
  drawn: Drawn,
  worker: TestWatcher,
  what: string,
): Promise<void> {
  let last = "";
  try {
    await until("the screens are the same", async () => {
      const offset = worker.offset;
      const { text, look, at } = await expected(tmux);
      const { size: { cols, rows }, cursor: { x, y }, look: seen } = drawn.screen;
      const ours = `${x},${y},${cols},${rows}`;
      const other = seen.findIndex((line, y) =>
        withoutErased(line) !== withoutErased(look[y] ?? "")
      );
      if (drawn.text === text && other < 0 && ours === at) return true;
      // Only what stood still while tmux was asked can be compared.
      if (worker.offset === offset) {
        last = `${ours} is not ${at}\n${drawn.text}\n--- is not\n${text}\n--- line ${other}\n` +
          `${JSON.stringify(seen[other])}\n${JSON.stringify(look[other])}`;
      }
      return false;
    });
  } catch {
    assert.fail(`${what}: ${last}`);
  }
}

Deno.test("a watcher's screen is the session's, at random points of real programs", async (t) => {
  for (const [name, { file, command, keys }] of Object.entries(PROGRAMS)) {
    if (!await Deno.stat(file).then(() => true, () => false)) {
      await skip(t, `${name}: there is no ${file}`);
      continue;
    }
    await t.step(name, async () => {
      const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
      try {
        await Deno.writeTextFile(`${dir}/text`, TEXT);
        await using tmux = await TmuxServer.start(command(`${dir}/text`));
        await using relay = await Running.start(tmux);
        const drawn = new Drawn();
        await using worker = await relay.attach("readwrite", 100, 30, {}, drawn.follow);
        for (let point = 0; point < 50; point++) {
          const typed = Array.from({ length: 1 + point % 3 }, () => pick(keys));
          for (const key of typed) worker.type(key);
          if (point % 10 === 9) {
            worker.send({
              type: "resize",
              cols: pick([40, 71, 100, 133]),
              rows: pick([12, 30, 41]),
            });
          }
          await compare(tmux, drawn, worker, `${name}, point ${point}, ${JSON.stringify(typed)}`);
        }
        // Who comes now sees the same.
        const late = new Drawn();
        await using reader = await relay.attach("readonly", 80, 24, {}, late.follow);
        await compare(tmux, late, reader, `${name}, late`);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
});
