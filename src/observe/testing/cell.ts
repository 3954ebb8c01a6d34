// SPDX-License-Identifier: Apache-2.0

/**
 * A real relay process for tests and benchmarks: bundled, under its static permission set, in the cell
 * that the launcher gives it, before a tmux server configured as the launcher configures it.
 */
import { denoArguments } from "../../lib/process/mod.ts";
import { serverConfig } from "../../lib/tmux/mod.ts";
import { FEW_ALLOCATIONS, serviceCellArguments } from "../../sandbox/mod.ts";
import { bundleRole } from "../../../tasks/bundle_role.ts";
import type { RelayBootstrap } from "../api.ts";

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");
const ENVIRONMENT = { PATH: "/usr/bin:/bin", TERM: "screen-256color", LANG: "C.UTF-8", PS1: "$ " };
const START_MS = 10_000;

export class RelayCell implements AsyncDisposable {
  private constructor(
    readonly dir: string,
    readonly socket: string,
    /** Of the Deno process, as this machine sees it. */
    readonly pid: number,
    readonly status: Promise<Deno.CommandStatus>,
    readonly announcement: unknown,
  ) {}

  /** @param dir holds `tmux/tmux.sock`; made by `startServer()` */
  static async start(dir: string): Promise<RelayCell> {
    const runtime = `${dir}/runtime`;
    await buildRuntime(runtime);
    await Deno.mkdir(`${dir}/observe`, { recursive: true });
    const child = new Deno.Command("/usr/bin/bwrap", {
      args: [
        ...serviceCellArguments(runtime, [
          { source: `${dir}/observe`, dest: "/run/bureau/observe" },
          { source: `${dir}/tmux`, dest: "/run/bureau/tmux" },
        ]),
        ...FEW_ALLOCATIONS,
        ...["--ro-bind", Deno.execPath(), "/opt/deno", "--", "/opt/deno"],
        ...denoArguments("relay", "/opt/bureau"),
      ],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const bootstrap: RelayBootstrap = {
      version: 1,
      principal: "bureau/fleet/dev/agent/scribe",
      machine: "@bureau/fleet/dev/machine/m:bureau.local",
      session: "agent",
    };
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(bootstrap)));
    await writer.close();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const drained = reader.read();
    return new RelayCell(
      dir,
      `${dir}/observe/relay.sock`,
      await innermost(child.pid),
      child.status.finally(() => drained),
      value === undefined ? null : JSON.parse(new TextDecoder().decode(value)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      Deno.kill(this.pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
    await this.status;
  }
}

async function buildRuntime(runtime: string): Promise<void> {
  await Deno.mkdir(runtime, { recursive: true });
  await bundleRole("relay", `${runtime}/relay.js`);
  const { permissions } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  await Deno.writeTextFile(`${runtime}/deno.json`, JSON.stringify({ permissions }));
}

/** bwrap keeps a parent outside and an init inside; the program is the last of the chain. */
async function innermost(pid: number): Promise<number> {
  while (true) {
    const name = (await Deno.readTextFile(`/proc/${pid}/comm`)).trim();
    const children = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim();
    if (children === "" || name.startsWith("deno")) return pid;
    pid = Number(children.split(" ")[0]);
  }
}

/** A tmux server as a principal's, in `<dir>/tmux`, which runs `command` in one pane. */
export class PaneServer implements AsyncDisposable {
  private constructor(readonly dir: string) {}

  static async start(command: readonly string[]): Promise<PaneServer> {
    const server = new PaneServer(await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" }));
    await Deno.mkdir(`${server.dir}/tmux`);
    await Deno.writeTextFile(`${server.dir}/tmux.conf`, serverConfig(command, "true"));
    await server.tmux("-f", `${server.dir}/tmux.conf`, "start-server");
    const deadline = Date.now() + START_MS;
    while ((await server.tmux("list-sessions")) === null) {
      if (Date.now() > deadline) throw new Error("the tmux server did not start");
    }
    return server;
  }

  /** @returns what it printed, or null when it failed */
  async tmux(...args: string[]): Promise<string | null> {
    const { success, stdout } = await new Deno.Command("/usr/bin/tmux", {
      args: ["-S", `${this.dir}/tmux/tmux.sock`, ...args],
      clearEnv: true,
      env: ENVIRONMENT,
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trimEnd() : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux("kill-server");
    const deadline = Date.now() + START_MS;
    while ((await this.tmux("list-sessions")) !== null) {
      if (Date.now() > deadline) throw new Error("the tmux server did not end");
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}
