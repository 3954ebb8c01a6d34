// SPDX-License-Identifier: Apache-2.0

/**
 * The first ring around a guardian: a sandbox in which nothing but a scratch directory can be written and from which
 * nothing can be reached, so that it does not matter which program a file talks another into running.
 */

/** What `sandbox run` hands a launcher, as far as a guardian needs it (`SandboxRequest` of the launcher). */
export interface GuardianSandbox {
  readonly template: {
    readonly description: string;
    readonly isolation: "standard";
    readonly command: string[];
    readonly filesystem: { dest: string; type: "tmpfs"; options: string }[];
    readonly create_dirs: string[];
    readonly environment_variables: Record<string, string>;
  };
  readonly binds: { source: string; dest: string; mode: "ro" | "rw" }[];
  readonly command: string[];
  readonly terminal: false;
  readonly directory: string;
}

export interface GuardianPlace {
  /** Host directory that is reviewed; the guardian sees it at the same path and writes nothing there. */
  readonly workspace: string;
  /** Host directory that it may write; absent: one of its own, in memory. */
  readonly scratch?: string;
  /** The program and its arguments. */
  readonly command: readonly string[];
}

/** In the sandbox. */
export const SCRATCH = "/scratch";
const TMPFS = `size=${64 * 1024 * 1024}`;

/**
 * Of git, whatever the repository says: variables, for they count more than any file, and children inherit them. The
 * repository's filters can't be switched off so; what they run runs in here.
 */
const GIT: Readonly<Record<string, string>> = {
  "core.fsmonitor": "false",
  "core.hooksPath": "/dev/null",
  "core.pager": "cat",
  "core.sshCommand": "/bin/false",
  "log.showSignature": "false",
  "gpg.program": "/bin/false",
  "protocol.allow": "never",
  // Another user's repository is what it is there to read.
  "safe.directory": "*",
};

export function guardianEnvironment(): Record<string, string> {
  const settings = Object.entries(GIT);
  return {
    HOME: SCRATCH,
    TMPDIR: SCRATCH,
    LANG: "C.UTF-8",
    PATH: "/usr/bin:/bin",
    PAGER: "cat",
    GIT_PAGER: "cat",
    // The index is not refreshed on the way.
    GIT_OPTIONAL_LOCKS: "0",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(settings.flatMap(([key, value], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ])),
  };
}

/** The request for a guardian's sandbox: the workspace read-only, no network, nothing of the caller's environment. */
export function guardianSandbox({ workspace, scratch, command }: GuardianPlace): GuardianSandbox {
  return {
    template: {
      description: "A reader: it writes nothing but its scratch directory, and reaches nothing",
      isolation: "standard",
      command: ["/bin/false"],
      filesystem: [
        { dest: "/tmp", type: "tmpfs", options: TMPFS },
        ...(scratch === undefined
          ? [{ dest: SCRATCH, type: "tmpfs" as const, options: TMPFS }]
          : []),
      ],
      create_dirs: scratch === undefined ? [] : [SCRATCH],
      environment_variables: guardianEnvironment(),
    },
    binds: [
      { source: workspace, dest: workspace, mode: "ro" },
      ...(scratch === undefined ? [] : [{ source: scratch, dest: SCRATCH, mode: "rw" as const }]),
    ],
    command: [...command],
    terminal: false,
    directory: workspace,
  };
}

interface Walls {
  readonly template?: unknown;
  readonly binds?: unknown;
}

/**
 * Another sandbox's request (`SandboxRequest`) with such a ring around its program: whatever it binds is read-only but
 * for the `writable` directories, and git is told what it is told above. Its network stays as it is, for a worker's model
 * is asked from in there: give it no other host.
 */
export function walled(request: Walls, writable: readonly string[]): Record<string, unknown> {
  const template = (request.template ?? {}) as Readonly<Record<string, unknown>>;
  const binds = (request.binds ?? []) as readonly Readonly<Record<string, unknown>>[];
  // Where it keeps its own things stays, too.
  const { HOME: _, TMPDIR: __, ...environment } = guardianEnvironment();
  return {
    ...request,
    template: {
      ...template,
      environment_variables: {
        ...template["environment_variables"] as Readonly<Record<string, string>> | undefined,
        ...environment,
      },
    },
    binds: binds.map((bind) =>
      writable.includes(String(bind["source"])) ? bind : { ...bind, mode: "ro" }
    ),
  };
}

/**
 * Whether this process stands in such a ring as far as `directory` goes: the mount that holds it, and each below it, is
 * read-only. Without that a guardian gets no shell at all, whatever its words.
 *
 * @param mountinfo of `/proc/self/mountinfo`
 */
export function isReadOnly(mountinfo: string, directory: string): boolean {
  const path = directory.replace(/\/+$/, "") || "/";
  const mounts = mountinfo.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const [, , , , at, options] = fields;
    return at === undefined || options === undefined
      ? []
      : [{ at: unescaped(at), isReadOnly: options.split(",").includes("ro") }];
  });
  // Of several at one place the last is the one that is seen.
  const holds = mounts.filter(({ at }) => at === "/" || at === path || path.startsWith(`${at}/`))
    .reduce<(typeof mounts)[number] | null>(
      (best, one) => best === null || one.at.length >= best.at.length ? one : best,
      null,
    );
  if (holds === null || !holds.isReadOnly) return false;
  const below = path === "/" ? "/" : `${path}/`;
  return mounts.filter(({ at }) => at !== path && at.startsWith(below)).every(({ at }, _, all) =>
    all.findLast((one) => one.at === at)!.isReadOnly
  );
}

/** Blanks and backslashes stand there in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
}
