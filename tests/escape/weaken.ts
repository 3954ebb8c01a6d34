// SPDX-License-Identifier: Apache-2.0

/**
 * Takes one defence out of a sandbox that is otherwise the product's: the arguments and the start script
 * that the launcher's own code wrote, with as little changed as lets the breach through.
 */
import type { Defence } from "../../src/sandbox/probes/mod.ts";

/** What the launcher's code made for one principal. */
export interface Making {
  /** Arguments of the tmux cell's bwrap, and of the agent's. */
  readonly cell: readonly string[];
  readonly agent: readonly string[];
  /** The start script in the cell. */
  readonly start: string;
}

/** Host paths of the test, made by `scene.ts`. */
export interface Props {
  /** An /etc with an account, a name server and a machine id. */
  readonly etc: string;
  /** Copies of bwrap: a plain one, and one with its setuid bit. */
  readonly bwrap: string;
  readonly setuidBwrap: string;
}

type Option = readonly string[];

const NONE = new Set([
  "--unshare-user",
  "--unshare-all",
  "--unshare-user-try",
  "--unshare-ipc",
  "--unshare-pid",
  "--unshare-net",
  "--unshare-uts",
  "--unshare-cgroup",
  "--unshare-cgroup-try",
  "--share-net",
  "--disable-userns",
  "--clearenv",
  "--new-session",
  "--die-with-parent",
  "--as-pid-1",
]);
const TWO = new Set([
  "--bind",
  "--bind-try",
  "--ro-bind",
  "--ro-bind-try",
  "--dev-bind",
  "--dev-bind-try",
  "--setenv",
  "--symlink",
  "--file",
  "--bind-data",
  "--ro-bind-data",
  "--chmod",
]);

/** Groups a flat argument vector of bwrap by option. */
export function parseOptions(args: readonly string[]): Option[] {
  const options: Option[] = [];
  for (let at = 0; at < args.length;) {
    const name = args[at]!;
    const length = NONE.has(name) ? 1 : TWO.has(name) ? 3 : 2;
    options.push(args.slice(at, at + length));
    at += length;
  }
  return options;
}

const isBind = ([name]: Option) => /^--(ro-|dev-)?bind(-try)?$/.test(name!);
const target = (option: Option) => isBind(option) ? option[2]! : null;

class Weakening {
  cell: Option[];
  agent: Option[];
  start: string;

  constructor(making: Making, readonly props: Props) {
    this.cell = parseOptions(making.cell);
    this.agent = parseOptions(making.agent);
    this.start = making.start;
  }

  drop(...words: string[]): void {
    const before = this.agent.length;
    this.agent = this.agent.filter((option) =>
      !words.every((word, index) => option[index] === word)
    );
    if (this.agent.length === before) throw new Error(`no ${words.join(" ")} to take away`);
  }

  /** All namespaces but one, in both sandboxes: the inner one would only leave the outer's. */
  share(namespace: string, where: "both" | "agent"): void {
    const all = ["ipc", "pid", "net", "uts"].filter((name) => name !== namespace)
      .map((name) => [`--unshare-${name}`]);
    if (namespace !== "cgroup") all.push(["--unshare-cgroup-try"]);
    const change = (options: Option[]) =>
      options.flatMap((option): Option[] => option[0] === "--unshare-all" ? all : [option])
        .filter(([name]) => namespace !== "uts" || name !== "--hostname");
    this.agent = change(this.agent);
    if (where === "both") this.cell = change(this.cell);
  }

  /** Makes the read-only binds at `dest` writable. */
  writable(cell: string, agent: string): void {
    const change = (options: Option[], dest: string) =>
      options.map((option): Option =>
        target(option) === dest ? ["--bind", ...option.slice(1)] : option
      );
    this.cell = change(this.cell, cell);
    this.agent = change(this.agent, agent);
  }

  /** Mounts of the agent come before its root is made read-only. */
  mount(...options: Option[]): void {
    const at = this.agent.findIndex(([name, dest]) => name === "--remount-ro" && dest === "/");
    this.agent.splice(at < 0 ? this.agent.length : at, 0, ...options);
  }

  /** Shows the agent a host path. */
  expose(source: string, dest: string): void {
    const between = `/source/exposed${dest}`;
    this.cell.push(["--ro-bind", source, between]);
    this.mount(["--ro-bind", between, dest]);
  }

  rewrite(pattern: RegExp, replacement: string | ((match: string, word: string) => string)): void {
    const changed = this.start.replace(pattern, replacement as string);
    if (changed === this.start) throw new Error(`the start script has no ${pattern}`);
    this.start = changed;
  }
}

const STEPS: Readonly<Record<Defence, (w: Weakening) => void>> = {
  // The cell's own filter is left out by `host.ts`.
  "seccomp": (w) => w.drop("--seccomp"),
  "new-session": (w) => w.drop("--new-session"),
  "pty": (w) =>
    w.rewrite(
      /\/usr\/bin\/script --quiet --return --command ((?:'[^']*'|\\')+) \/dev\/null/,
      (_, word) => `/bin/sh -c ${word}`,
    ),
  "no-nesting": (w) => w.drop("--disable-userns"),
  "no-capabilities": (w) =>
    w.agent = w.agent.map((option) => option[0] === "--cap-drop" ? ["--cap-add", "ALL"] : option),
  "kept-capabilities": (w) => w.drop("--cap-drop"),
  "not-root": (w) =>
    w.agent = w.agent.map((option) =>
      ["--uid", "--gid"].includes(option[0]!) ? [option[0]!, "0"] : option
    ),
  "own-net": (w) => w.share("net", "both"),
  "own-pid": (w) => w.share("pid", "agent"),
  "own-ipc": (w) => w.share("ipc", "both"),
  "own-uts": (w) => w.share("uts", "both"),
  "own-cgroup": (w) => w.share("cgroup", "both"),
  "clear-environment": (w) => {
    w.drop("--clearenv");
    w.cell.push(["--setenv", "SSH_AUTH_SOCK", "/tmp/agent"]);
  },
  "own-proc": (w) => {
    w.drop("--proc", "/proc");
    w.mount(["--bind", "/proc", "/proc"]);
  },
  "own-dev": (w) => {
    w.cell.push(["--dev-bind", "/dev", "/source/dev"]);
    w.drop("--remount-ro", "/dev");
    w.agent = w.agent.flatMap((option): Option[] =>
      option[0] === "--dev" ? [["--dev-bind", "/source/dev", "/dev"]] : [option]
    );
    dropTmpfs(w, "/dev/shm");
  },
  "own-shm": (w) => {
    w.cell.push(["--bind", "/dev/shm", "/source/shm"]);
    const at = dropTmpfs(w, "/dev/shm");
    w.agent.splice(at, 0, ["--bind", "/source/shm", "/dev/shm"]);
  },
  "own-etc": (w) => {
    w.agent = w.agent.filter((option) => !target(option)?.startsWith("/etc"));
    w.expose(w.props.etc, "/etc");
  },
  "readonly-root": (w) => w.drop("--remount-ro", "/"),
  "readonly-dev": (w) => w.drop("--remount-ro", "/dev"),
  "readonly-usr": (w) => w.writable("/usr", "/usr"),
  "readonly-contract": (w) => w.writable("/cell", "/run/bureau/contract"),
  "readonly-proxy": (w) => w.writable("/run/bureau/agent", "/run/bureau/agent"),
  "protected-paths": (w) => {
    w.agent = w.agent.filter((option) => !target(option)?.startsWith("/workspace/"));
    // It would refuse to start.
    w.rewrite(/\. \/run\/bureau\/contract\/guard\.sh/, "true");
  },
  "nothing-beneath": (w) => w.mount(["--tmpfs", "/workspace/beneath"]),
  "sized-tmpfs": (w) => w.drop("--size"),
  "limits": (w) => w.rewrite(/\/usr\/bin\/prlimit (?:--\w+=\S+ )*-- /, ""),
  "arguments-by-descriptor": (w) =>
    w.rewrite(
      /--args 3/,
      () => w.agent.flat().map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" "),
    ),
  "clean-descriptors": (w) =>
    w.rewrite(/3<\/cell\/nested\.args/, "3</cell/nested.args 7</cell/tmux.conf"),
  "bwrap-not-writable": (w) => w.cell.push(["--bind", w.props.bwrap, "/usr/bin/bwrap"]),
  "bwrap-not-setuid": (w) => w.cell.push(["--ro-bind", w.props.setuidBwrap, "/usr/bin/bwrap"]),
  // What is bound instead is the probe's `expose`.
  "unbound": () => {},
};

/** @returns where it was */
function dropTmpfs(w: Weakening, dest: string): number {
  const at = w.agent.findIndex(([name, where]) => name === "--tmpfs" && where === dest);
  let first = at;
  while (first > 0 && ["--size", "--perms"].includes(w.agent[first - 1]![0]!)) first--;
  w.agent.splice(first, at - first + 1);
  return first;
}

/** @param exposed host path by path in the sandbox */
export function weaken(
  making: Making,
  without: readonly Defence[],
  exposed: Readonly<Record<string, string>>,
  props: Props,
): Making {
  const w = new Weakening(making, props);
  // The one that writes the arguments out comes when they are what they will be.
  const last = (defence: Defence) => defence === "arguments-by-descriptor" ? 1 : 0;
  for (const defence of without.toSorted((a, b) => last(a) - last(b))) STEPS[defence](w);
  for (const [dest, source] of Object.entries(exposed)) w.expose(source, dest);
  return { cell: w.cell.flat(), agent: w.agent.flat(), start: w.start };
}
