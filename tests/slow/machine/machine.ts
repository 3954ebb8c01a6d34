// SPDX-License-Identifier: Apache-2.0

/**
 * A Debian 12 machine as somebody gets it: a minimal installation with git, curl and npm, entered in mount and pid
 * namespaces of its own. It shares this machine's network, and reaches the package registries as this machine does.
 */
import { eventually, type Finished } from "../../e2e/harness.ts";
import { mirrorSettings, networkFiles, networkVariables } from "./network.ts";

const HERE = new URL(".", import.meta.url).pathname;
/** Root's own, unlike /tmp: nobody else can put a machine there for root to run. */
const CACHE = "/var/cache/bureau-tests";
/** Packages on a machine of which the README says that it is enough. */
const PACKAGES = ["git", "curl", "npm", "ca-certificates"];
/** An older cached machine is made anew: 7 days. */
const CACHE_MS = 7 * 24 * 3600_000;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const decoder = new TextDecoder();

/** Why this machine cannot make another one; null when it can. */
export function whyNot(): string | null {
  if (Deno.uid() !== 0) return "making a Debian root takes root";
  const has = (path: string) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  };
  if (!has("/usr/sbin/debootstrap") && !has("/usr/bin/apt-get")) {
    return "there is neither debootstrap nor an apt-get to install it with";
  }
  if (!["/usr/bin/unshare", "/usr/bin/nsenter", "/usr/sbin/pivot_root"].every(has)) {
    return "util-linux (unshare, nsenter, pivot_root) is not installed";
  }
  const tried = new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "true"],
    stdin: "null",
    stderr: "null",
  }).outputSync();
  return tried.success ? null : "this root may not make mount and pid namespaces";
}

async function sh(script: string, env: Record<string, string> = {}): Promise<void> {
  const done = await new Deno.Command("sh", {
    args: ["-euc", script],
    env: { DEBIAN_FRONTEND: "noninteractive", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (done.success) return;
  const said = decoder.decode(done.stdout) + decoder.decode(done.stderr);
  throw new Error(`Cannot make the machine: ${said.trim().split("\n").slice(-15).join("\n")}`);
}

export class Machine implements AsyncDisposable {
  /** Of its init, as this machine counts. */
  readonly #init: number;
  readonly #process: Deno.ChildProcess;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    readonly root: string,
    process: Deno.ChildProcess,
    init: number,
    env: Record<string, string>,
  ) {
    this.#process = process;
    this.#init = init;
    this.#env = env;
  }

  /** @param base a new directory of root's; its file system holds the machine: 700 MB */
  static async boot(base: string): Promise<Machine> {
    const root = `${base}/root`;
    const archive = await cachedMachine(base);
    await Deno.mkdir(root, { mode: 0o755 });
    await sh(`tar --extract --numeric-owner --file "$ARCHIVE" --directory "$ROOT"`, {
      ARCHIVE: archive,
      ROOT: root,
    });
    return await Machine.enter(root);
  }

  /** @param root a directory with an installed Debian */
  static async enter(root: string): Promise<Machine> {
    for (const path of ["/etc/resolv.conf", "/etc/hosts", ...await networkFiles()]) {
      await sh(`mkdir -p "$(dirname "$ROOT$P")" && cp -L "$P" "$ROOT$P"`, { ROOT: root, P: path });
    }
    const process = new Deno.Command("/usr/bin/setpriv", {
      // No machine may outlive its test: with `unshare` ends its init, and with that all it runs.
      args: ["--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        .concat(["sh", `${HERE}enter.sh`, root]),
      env: { PATH },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const init = await eventually("the machine is up", async () => {
      const text = await Deno.readTextFile(`/proc/${process.pid}/task/${process.pid}/children`);
      const child = Number(text.trim());
      if (!(child > 0)) return false;
      const up = await Deno.stat(`/proc/${child}/root/run/machine-is-up`).catch(() => null);
      return up === null ? false : child;
    });
    return new Machine(root, process, init, await networkVariables());
  }

  /** Arguments of nsenter, up to a program that root or another user runs on it. */
  #enter(user: string): string[] {
    const drop = user === "root"
      ? []
      : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--init-groups"];
    return [`--target=${this.#init}`, "--mount", "--pid", "--root", "--wd", ...drop];
  }

  /** What a login of that user has in its environment. */
  #login(user: string): Record<string, string> {
    const home = user === "root" ? "/root" : `/home/${user}`;
    return { PATH, HOME: home, USER: user, LOGNAME: user, LANG: "C.UTF-8", ...this.#env };
  }

  /** A line that makes a shell of this machine one of that one, in the user's home. */
  shell(user: string): string {
    const variables = Object.entries(this.#login(user)).map(([name, value]) => `${name}=${value}`);
    const words = ["env", "-i", "PS1=$ ", `TERM=$TERM`, ...variables]
      .map((word) => `"${word.replaceAll('"', '\\"')}"`);
    return [...words, "/usr/bin/nsenter", ...this.#enter(user), "sh", "-c", "'cd && exec sh'"]
      .join(" ");
  }

  /** Runs a shell script as root, or as another user, in that user's home and with a login's environment. */
  async run(script: string, user = "root"): Promise<Finished> {
    const { code, stdout, stderr } = await new Deno.Command("/usr/bin/nsenter", {
      args: [...this.#enter(user), "sh", "-c", `cd && ${script}`],
      env: this.#login(user),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(180_000),
    }).output();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Command lines of every process on it, but for its init and what that sleeps in. */
  async processes(): Promise<string[]> {
    const own = await Deno.readLink(`/proc/${this.#init}/ns/pid`);
    const lines: string[] = [];
    for await (const entry of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(entry.name) || Number(entry.name) === this.#init) continue;
      // What runs in a cell has a namespace of its own, but its bwrap outside of it has the machine's.
      const space = await Deno.readLink(`/proc/${entry.name}/ns/pid`).catch(() => "");
      if (space !== own) continue;
      const line = (await Deno.readTextFile(`/proc/${entry.name}/cmdline`).catch(() => ""))
        .replaceAll("\0", " ").trim();
      if (line !== "sleep 3600") lines.push(line);
    }
    return lines;
  }

  mounts(): Promise<string> {
    return Deno.readTextFile(`/proc/${this.#init}/mounts`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await eventually("the machine is off", async () => {
      return await Deno.stat(`/proc/${this.#init}`).then(() => false, () => true);
    });
  }
}

/** An archive of a freshly installed machine, made when there is none or an old one. */
async function cachedMachine(base: string): Promise<string> {
  await Deno.mkdir(CACHE, { recursive: true, mode: 0o700 });
  const archive = `${CACHE}/bookworm-${Deno.build.arch}-${PACKAGES.join("-")}.tar.gz`;
  const present = await Deno.stat(archive).catch(() => null);
  if (present !== null && Date.now() - (present.mtime?.getTime() ?? 0) < CACHE_MS) return archive;
  console.log(`installing a bare machine into ${archive}`);
  if (await Deno.stat("/usr/sbin/debootstrap").catch(() => null) === null) {
    await sh("apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap");
  }
  const fresh = `${base}/fresh`;
  const mirror = await mirrorSettings();
  await sh(`debootstrap --variant=minbase bookworm "$ROOT" "$MIRROR"`, {
    ROOT: fresh,
    MIRROR: mirror.url,
    ...mirror.proxy,
  });
  await Deno.writeTextFile(`${fresh}/etc/apt/sources.list`, mirror.sources);
  await Deno.writeTextFile(`${fresh}/etc/apt/apt.conf.d/90machine`, mirror.conf);
  // Not debootstrap's --include: its own resolution cannot order npm's many packages.
  {
    await using machine = await Machine.enter(fresh);
    const installed = await machine.run(
      `apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${
        PACKAGES.join(" ")
      } && apt-get clean && rm -rf /var/lib/apt/lists/*`,
    );
    if (installed.code !== 0) throw new Error(`Cannot make the machine: ${installed.stderr}`);
  }
  await sh(
    `tar --create --numeric-owner --use-compress-program='gzip -1' --file "$OUT" --directory "$ROOT" . && mv "$OUT" "$A"`,
    { ROOT: fresh, OUT: `${archive}.${Deno.pid}`, A: archive },
  );
  await sh(`rm -rf --one-file-system "$ROOT"`, { ROOT: fresh });
  return archive;
}
