// SPDX-License-Identifier: Apache-2.0

/** A person's terminal: a shell in a tmux server of the test's own, typed into and read like a screen. */
import { eventually } from "./harness.ts";

const decoder = new TextDecoder();
const TARGET = "=person:";

export class PersonTerminal implements AsyncDisposable {
  private constructor(readonly dir: string) {}

  static async open(cols: number, rows: number): Promise<PersonTerminal> {
    const terminal = new PersonTerminal(await Deno.makeTempDir({ dir: "/tmp", prefix: "b-t-" }));
    const size = ["-x", String(cols), "-y", String(rows)];
    // No configuration but tmux's own; sizes change only when this test says so.
    await terminal.#tmux(
      ...["-f", "/dev/null", "new-session", "-d", "-s", "person", ...size, "--"],
      ...["env", "PS1=$ ", "ENV=", "/bin/sh"],
    );
    await terminal.#tmux("set-option", "-g", "window-size", "manual");
    await terminal.shows("$");
    return terminal;
  }

  async #tmux(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("/usr/bin/tmux", {
      args: ["-S", `${this.dir}/t`, ...args],
      stdin: "null",
    }).output();
    if (!success) throw new Error(`tmux ${args[0]}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout).trimEnd();
  }

  /** Keys as they are. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-t", TARGET, "-l", text);
  }

  /** Keys by their names in tmux: `Enter`, `C-]`. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux("send-keys", "-t", TARGET, ...keys);
  }

  async enter(text: string): Promise<void> {
    await this.type(text);
    await this.press("Enter");
  }

  screen(): Promise<string> {
    return this.#tmux("capture-pane", "-p", "-t", TARGET);
  }

  /** The screen once `wanted` is on it. */
  async shows(wanted: string | RegExp, timeoutMs = 60_000): Promise<string> {
    let last = "";
    return await eventually(`the terminal shows ${wanted}`, async () => {
      last = await this.screen();
      const found = typeof wanted === "string" ? last.includes(wanted) : wanted.test(last);
      if (!found) throw new Error(`it shows:\n${last}`);
      return last;
    }, timeoutMs);
  }

  async resize(cols: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-t", TARGET, "-x", String(cols), "-y", String(rows));
  }

  /** What a program that leaves a terminal in disorder leaves on: empty when all is as in a new one. */
  async disorder(): Promise<string> {
    const format = "#{?alternate_on,alternate-screen ,}#{?cursor_flag,,no-cursor }" +
      "#{?mouse_any_flag,mouse ,}#{?keypad_flag,keypad ,}#{?keypad_cursor_flag,cursor-keys ,}" +
      "#{?bracket_paste_flag,paste ,}";
    return await this.#tmux("display-message", "-p", "-t", TARGET, format);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => {});
    await eventually(
      "the terminal is closed",
      () => this.#tmux("list-sessions").then(() => false, () => true),
    );
    await Deno.remove(this.dir, { recursive: true });
  }
}
