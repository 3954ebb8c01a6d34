// SPDX-License-Identifier: Apache-2.0

/**
 * A systemd that runs, for units to be tried under: pid 1 of namespaces of its own, over a copy-on-write view of this
 * machine's root, with a loopback device and nothing else for a network.
 */
import { eventually, type Finished } from "../../e2e/harness.ts";

const HERE = new URL(".", import.meta.url).pathname;
const SYSTEMD = "/lib/systemd/systemd";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const decoder = new TextDecoder();
/** Into the groups, then into the namespaces: $0 is boot.sh, $1 its directory, the rest are groups. */
const ENTER = `dir=$1; shift
for group; do
  # A cpuset of version 1 takes nobody before it has these.
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$group/$file" ] || cat "\${group%/*}/$file" >"$group/$file"
  done
  echo $$ >"$group/cgroup.procs" || exit 1
done
exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh "$0" "$dir"`;

/** Where control groups are: of each hierarchy, as systemd wants them. */
async function hierarchies(): Promise<string[]> {
  const mounts = await Deno.readTextFile("/proc/self/mounts");
  return [...mounts.matchAll(/^\S+ (\/sys\/fs\/cgroup\S*) cgroup2? /gm)].map(([, place]) => place!);
}

/** Why this machine can't have one; null when it can. */
export async function whyNot(): Promise<string | null> {
  if (Deno.uid() !== 0) return "only root can run a systemd of its own";
  const is = (path: string) => Deno.stat(path).then(() => true, () => false);
  if (!await is(SYSTEMD)) return "systemd is not installed";
  const places = await hierarchies();
  const unified = places.length === 1 && places[0] === "/sys/fs/cgroup";
  if (!unified && !places.includes("/sys/fs/cgroup/systemd")) {
    return "there is no control group hierarchy that systemd could use";
  }
  const tried = await new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup", "sh", "-c"]
      .concat([`mount --make-rprivate / && mount -t tmpfs x /mnt && mkdir /mnt/u /mnt/w /mnt/r &&
        mount -t overlay -o redirect_dir=on,lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w x /mnt/r`]),
    stdin: "null",
    stderr: "piped",
  }).output();
  return tried.success
    ? null
    : `this root may not make namespaces or an overlay: ${decoder.decode(tried.stderr).trim()}`;
}

export class Bed implements AsyncDisposable {
  readonly #dir: string;
  readonly #groups: readonly string[];
  readonly #process: Deno.ChildProcess;
  /** Of its pid 1, as this machine counts. */
  readonly #init: number;
  readonly #log: Promise<string>;

  private constructor(
    dir: string,
    groups: readonly string[],
    process: Deno.ChildProcess,
    init: number,
    log: Promise<string>,
  ) {
    this.#dir = dir;
    this.#groups = groups;
    this.#process = process;
    this.#init = init;
    this.#log = log;
  }

  static async boot(): Promise<Bed> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-sd" });
    const name = dir.slice(dir.lastIndexOf("/") + 1);
    const groups = (await hierarchies()).map((place) => `${place}/bureau-${name}`);
    for (const group of groups) await Deno.mkdir(group);
    const process = new Deno.Command("/usr/bin/setpriv", {
      // No machine may outlive its test: with `unshare` ends its pid 1, and with that all it runs.
      args: ["--pdeathsig=KILL", "sh", "-c", ENTER, `${HERE}boot.sh`, dir, ...groups],
      env: { PATH },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const log = Promise.all(
      [process.stdout, process.stderr].map((stream) => new Response(stream).text()),
    ).then((texts) => texts.join(""));
    let ended: string | null = null;
    process.status.then(async ({ code }) => ended = `it ended with ${code}: ${await log}`);
    try {
      const init = await eventually("systemd is up", async () => {
        if (ended !== null) throw new Error(ended);
        const file = `/proc/${process.pid}/task/${process.pid}/children`;
        const child = Number((await Deno.readTextFile(file).catch(() => "")).trim());
        if (!(child > 0)) return false;
        const up = await inside({ init: child, groups }, "systemctl is-active bed.target");
        return up.code === 0 ? child : false;
      }, 60_000);
      return new Bed(dir, groups, process, init, log);
    } catch (thrown) {
      await end(process, dir, groups);
      throw thrown;
    }
  }

  /** Runs a shell script there, as root. `$1` and so on are `args`. */
  run(script: string, ...args: string[]): Promise<Finished> {
    return inside({ init: this.#init, groups: this.#groups }, script, ...args);
  }

  /** @throws unless it ends well */
  async must(script: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, ...args);
    if (code !== 0) throw new Error(`${script}: status ${code}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  async write(path: string, text: string, mode = "0644"): Promise<void> {
    await this.must(
      'umask 077; mkdir -p -m 755 "${1%/*}"; printf %s "$2" >"$1"; chmod "$3" "$1"',
      path,
      text,
      mode,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#process, this.#dir, this.#groups);
    await this.#log;
  }
}

/** $1: groups, with blanks between them; the rest are nsenter's. */
const JOIN = `for group in $1; do
  [ ! -d "$group/init.scope" ] || group=$group/init.scope
  echo $$ >"$group/cgroup.procs" || exit 1
done
shift
exec nsenter "$@"`;

async function inside(
  { init, groups }: { readonly init: number; readonly groups: readonly string[] },
  script: string,
  ...args: string[]
): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    // What runs there counts there: a namespace of groups is a view, and moves nobody.
    args: ["-c", JOIN, "sh", groups.join(" "), `--target=${init}`]
      .concat(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd"])
      .concat(["sh", "-c", script, "sh", ...args]),
    env: { PATH, HOME: "/root", USER: "root", LANG: "C.UTF-8" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(180_000),
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function end(
  process: Deno.ChildProcess,
  dir: string,
  groups: readonly string[],
): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch {
    // It ended by itself.
  }
  await process.status;
  for (const group of groups) {
    await eventually(`${group} is empty`, async () => {
      // Children before parents; what is not a directory is the kernel's.
      const { success } = await new Deno.Command("find", {
        args: [group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"],
        stderr: "null",
      }).output();
      return success || !await Deno.stat(group).then(() => true, () => false);
    }, 30_000);
  }
  await Deno.remove(dir, { recursive: true });
}
