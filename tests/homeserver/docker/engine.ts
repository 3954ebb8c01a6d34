// SPDX-License-Identifier: Apache-2.0

/**
 * Debian's Docker engine on a machine that has none: unpacked beside the machine, not installed on it, in mount, network
 * and pid namespaces of its own. Whatever it made is gone when it is closed.
 */
import { eventually, type Finished } from "../../e2e/harness.ts";
import { unpackDebian } from "../debian.ts";

const HERE = new URL(".", import.meta.url).pathname;
const PACKAGES = ["docker.io", "containerd", "runc", "tini", "libdevmapper1.02.1"];
const CGROUPS = "/sys/fs/cgroup";
const decoder = new TextDecoder();

/** Runs a program; `stdin` is a file to read from. */
async function run(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string> } = {},
): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...options,
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Why this machine cannot run an engine of its own; null when it may try. */
export function whyNoEngine(): string | null {
  if (Deno.uid() !== 0) return "no Docker engine answers here, and starting one takes root";
  for (const path of ["/usr/bin/apt-get", "/usr/bin/dpkg-deb", "/usr/bin/unshare"]) {
    try {
      Deno.statSync(path);
    } catch {
      return `no Docker engine answers here, and none can be unpacked: ${path} is missing`;
    }
  }
  const tried = new Deno.Command("unshare", {
    args: ["--mount", "--net", "--pid", "--fork", "true"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return tried.success
    ? null
    : "no Docker engine answers here, and this root may not make namespaces for one";
}

const programs = () => unpackDebian("docker-engine", PACKAGES, "usr/sbin/dockerd");

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

export class Engine implements AsyncDisposable {
  readonly #programs: string;
  readonly #process: Deno.ChildProcess;
  readonly #cgroup: string;

  private constructor(
    /** The engine's own; containers may bind what is below `shared`. */
    readonly dir: string,
    programs: string,
    process: Deno.ChildProcess,
    cgroup: string,
  ) {
    this.#programs = programs;
    this.#process = process;
    this.#cgroup = cgroup;
  }

  static async start(): Promise<Engine | { reason: string }> {
    const found = await programs();
    if ("reason" in found) return found;
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-dk-" });
    await Deno.chmod(dir, 0o711);
    await Deno.mkdir(`${dir}/shared`);
    const cgroup = `bureau-engine-${dir.slice(dir.lastIndexOf("-") + 1)}`;
    const log = await Deno.open(`${dir}/engine.log`, { create: true, append: true });
    const process = new Deno.Command("/usr/bin/setpriv", {
      args: ["--pdeathsig=KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts"]
        .concat(["--fork", "--kill-child", "sh", `${HERE}engine.sh`, found.dir, dir, cgroup]),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const logged = process.stderr.pipeTo(log.writable).catch(() => {});
    const engine = new Engine(dir, found.dir, process, cgroup);
    let over = false;
    process.status.then(() => over = true);
    try {
      await eventually("the engine answers", async () => {
        if (over) return "over";
        return (await engine.docker("info")).code === 0 && "up";
      }, 60_000);
      if (!over) return engine;
    } catch {
      // Its log says why.
    }
    await engine.#end();
    await logged;
    const text = await Deno.readTextFile(`${dir}/engine.log`).catch(() => "");
    await engine.#sweep();
    return {
      reason: `Debian's Docker engine does not start here: ${text.trim().split("\n").at(-1)}`,
    };
  }

  /** The engine's client. */
  docker(...args: string[]): Promise<Finished> {
    return run(`${this.#programs}/usr/bin/docker`, args, {
      env: { DOCKER_HOST: `unix://${this.dir}/engine.sock`, DOCKER_CONFIG: `${this.dir}/client` },
    });
  }

  async #end(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (thrown) {
      if (!(thrown instanceof TypeError)) throw thrown;
    }
    await this.#process.status;
  }

  /** What outlives processes and mounts: cgroups and files. */
  async #sweep(): Promise<void> {
    await eventually("the engine's cgroups are gone", async () => {
      const left = await this.leftovers();
      for (const path of left) await removeCgroups(path);
      return (await this.leftovers()).length === 0;
    }, 30_000);
    const removed = await run("rm", ["-rf", "--one-file-system", this.dir]);
    if (removed.code !== 0) throw new Error(`Cannot remove ${this.dir}: ${removed.stderr}`);
  }

  /** The engine's cgroups that are there: one a hierarchy, or one of them all. */
  async leftovers(): Promise<string[]> {
    const places = [CGROUPS];
    for await (const entry of Deno.readDir(CGROUPS)) {
      if (entry.isDirectory) places.push(`${CGROUPS}/${entry.name}`);
    }
    const found: string[] = [];
    for (const place of places) {
      if (await exists(`${place}/${this.#cgroup}`)) found.push(`${place}/${this.#cgroup}`);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.#sweep();
  }
}

/** A cgroup is removed as a directory, its children first; its files are not files. */
async function removeCgroups(path: string): Promise<void> {
  for await (const entry of Deno.readDir(path)) {
    if (entry.isDirectory) await removeCgroups(`${path}/${entry.name}`);
  }
  // Busy until the kernel has put away the last process.
  await Deno.remove(path).catch(() => {});
}
