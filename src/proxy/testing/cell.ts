// SPDX-License-Identifier: Apache-2.0

/**
 * A real proxy process for tests and benchmarks: bundled, with the static permission set `proxy`, inside a
 * bubblewrap cell without a network, as the launcher starts it.
 */
import { bundleRole } from "../../../tasks/bundle_role.ts";
import { denoArguments } from "../../lib/process/mod.ts";
import type { ProxyBootstrap } from "../api.ts";

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");

/** Builds `<dir>/runtime` with the bundle and the permission sets. */
export async function buildRuntime(dir: string): Promise<string> {
  const runtime = `${dir}/runtime`;
  await Deno.mkdir(runtime);
  await bundleRole("proxy", `${runtime}/proxy.js`);
  const { permissions } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  await Deno.writeTextFile(`${runtime}/deno.json`, JSON.stringify({ permissions }));
  await Deno.chmod(dir, 0o755);
  return runtime;
}

export interface Cell {
  readonly sockets: { readonly agent: string; readonly admin: string; readonly egress: string };
  /** Of the Deno process as this machine sees it. */
  pid(): Promise<number>;
  kill(signal: Deno.Signal): void;
  readonly status: Promise<Deno.CommandStatus>;
  /** The first line of its stdout. */
  readonly announcement: Record<string, unknown>;
}

/** @param dir holds `agent`, `admin`, `egress`, made here when missing */
export async function startCell(
  dir: string,
  runtime: string,
  bootstrap: ProxyBootstrap | string,
): Promise<Cell> {
  for (const name of ["agent", "admin", "egress"]) {
    await Deno.mkdir(`${dir}/${name}`, { recursive: true });
  }
  const binds = ["agent", "admin", "egress"].flatMap((name) => [
    "--bind",
    `${dir}/${name}`,
    `/run/bureau/${name}`,
  ]);
  const child = new Deno.Command("/usr/bin/bwrap", {
    args: [
      ...["--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"],
      ...[
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--cap-drop",
        "ALL",
        "--setenv",
        "HOME",
        "/nonexistent",
      ],
      ...["--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64"],
      ...["/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
      ...["--ro-bind", runtime, "/opt/bureau", "--ro-bind", Deno.execPath(), "/opt/deno"],
      ...binds,
      ...["--", "/opt/deno", ...denoArguments("proxy", "/opt/bureau")],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(
      typeof bootstrap === "string" ? bootstrap : JSON.stringify(bootstrap),
    ),
  );
  await writer.close();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    line += value;
  }
  // Nothing follows; reading on keeps the pipe from being a leak.
  const drained = reader.read().catch(() => {});
  return {
    sockets: {
      agent: `${dir}/agent/proxy.sock`,
      admin: `${dir}/admin/admin.sock`,
      egress: `${dir}/egress/egress.sock`,
    },
    pid: () => innermost(child.pid),
    kill: (signal) => child.kill(signal),
    status: child.status.finally(() => drained),
    announcement: line === "" ? {} : JSON.parse(line),
  };
}

/** bwrap keeps a parent outside and an init inside; the program is the last of the chain. */
async function innermost(pid: number): Promise<number> {
  while (true) {
    const children = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim();
    if (children === "") return pid;
    pid = Number(children.split(" ")[0]);
  }
}
