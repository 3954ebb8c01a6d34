// SPDX-License-Identifier: Apache-2.0

/** Secrets in what a real tmux draws for a client: wrapped, scrolled, drawn anew, in another size. */
import assert from "node:assert/strict";
import { concatBytes } from "../../lib/bytes.ts";
import { listSecrets } from "../../lib/recording/mod.ts";
import { TerminalFilter } from "../../lib/terminal/mod.ts";
import { lacks } from "../../lib/testing/skip.ts";
import { TmuxServer, until } from "../_session.ts";
import { type Recorded, Redactor } from "./redactor.ts";

const PATIENCE_MS = 30_000;
const SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const LONG = `eyJhbGciOiJIUzI1NiJ9.${"QWxsIHlvdXIgYmFzZQ".repeat(9)}.c2lnbmF0dXJl`;

/** A client on a terminal of its own, 50 columns wide, and everything that it drew. */
class Client {
  readonly #process: Deno.ChildProcess;
  readonly parts: Uint8Array[] = [];
  readonly #filter = new TerminalFilter();
  readonly #read: Promise<void>;

  constructor(socket: string) {
    const attach = `stty rows 10 cols 50; exec tmux -u -S ${socket} attach-session -t =agent`;
    this.#process = new Deno.Command("/usr/bin/script", {
      args: ["--quiet", "--flush", "--return", "--command", attach, "/dev/null"],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", TERM: "xterm-256color", SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const { stdout } = this.#process;
    this.#read = (async () => {
      for await (const bytes of stdout) this.parts.push(this.#filter.push(bytes));
    })();
  }

  get text(): string {
    return new TextDecoder().decode(concatBytes(this.parts, this.size));
  }

  get size(): number {
    return this.parts.reduce((sum, { length }) => sum + length, 0);
  }

  async end(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#read;
    await this.#process.stdin.close().catch(() => {});
  }
}

async function redacted(parts: readonly Uint8Array[], secrets: readonly string[]): Promise<string> {
  const redactor = new Redactor(await listSecrets(secrets));
  const out: Recorded[] = [];
  for (const bytes of parts) {
    await redactor.output(0, bytes.slice());
    out.push(...redactor.take());
  }
  out.push(...redactor.take(true));
  const decoder = new TextDecoder();
  return out.map((item) => "bytes" in item ? decoder.decode(item.bytes, { stream: true }) : "")
    .join("");
}

// deno-lint-ignore no-control-regex -- escape sequences are what is taken away
const bare = (text: string) => text.replaceAll(/\x1b(?:\[[0-9;?]*[@-~]|\([AB0]|[78=>])|\s/g, "");

Deno.test("secrets on a real terminal", async (t) => {
  if (await lacks(t, "/usr/bin/tmux", "tmux")) return;
  await using server = await TmuxServer.start(["/bin/sh"]);
  const client = new Client(server.socket);
  try {
    await until("it is drawn", () => client.size > 0, PATIENCE_MS);
    const run = async (name: string, script: string, seen: () => boolean) => {
      // In a file: what is typed would be seen as well.
      await Deno.writeTextFile(`${server.directory}/${name}`, script);
      await server.tmux("send-keys", "-t", "=agent:", `sh ${server.directory}/${name}`, "Enter");
      await until(name, seen, PATIENCE_MS);
    };
    const times = (text: string, secret: string) => bare(text).split(secret).length - 1;
    const redraw = async (mark: string, drawn: string) => {
      const name = await server.tmux("list-clients", "-F", "#{client_name}");
      const size = client.text.length;
      await server.tmux("refresh-client", "-t", name);
      await until("it is drawn anew", () => client.text.slice(size).includes(drawn), PATIENCE_MS);
      await run(mark, `echo ${mark}-was-run`, () => times(client.text, `${mark}-was-run`) > 0);
    };

    // Wraps at 50 columns; and one over several lines.
    const short = `printf '%30s\\033[31m%s\\033[0m\\n' x ${SECRET}`;
    await run("short", short, () => times(client.text, SECRET) > 0);
    await run("long", `echo ${LONG}`, () => times(client.text, LONG) > 0);
    await redraw("first", "/long");
    await server.tmux("resize-window", "-t", "=agent:", "-x", "43", "-y", "9");
    await redraw("second", "/first");
    // Until its end is the first line of the screen, which is then drawn.
    await run("again", `clear; ${short}`, () => times(client.text, SECRET) > 1);
    let top = "";
    for (let turn = 0; !SECRET.endsWith(top) || top === ""; turn++) {
      assert.ok(turn < 20, "its end never was the first line");
      const before = await server.screen();
      await server.tmux("send-keys", "-t", "=agent:", "Enter");
      await until("a prompt", async () => await server.screen() !== before, PATIENCE_MS);
      top = (await server.screen()).split("\n")[0]!.trim();
    }
    assert.ok(top.length >= 12, top);
    await redraw("third", top.slice(-12));

    const shown = bare(await redacted(client.parts, [SECRET, LONG]));
    for (const secret of [SECRET, LONG]) {
      for (let from = 0; from + 24 <= secret.length; from++) {
        assert.ok(!shown.includes(secret.slice(from, from + 24)), secret.slice(from, from + 24));
      }
    }
    assert.ok(!shown.includes(top));
    // The controls: it was there, and everything else still is.
    assert.ok(times(client.text, SECRET) > 0 && times(client.text, LONG) > 0);
    assert.ok(shown.includes("*".repeat(SECRET.length)) && shown.includes("third-was-run"));
    const harmless = await redacted(client.parts, ["something that is never shown"]);
    assert.equal(harmless, client.text);
  } finally {
    await client.end();
  }
});
