// SPDX-License-Identifier: Apache-2.0

/** A plan in words. Pure: what it says is what the plan holds, and the plan is all that bwrap is told. */
import { DEFAULT_FILES } from "./arguments.ts";
import { DIRECTORY_BYTES } from "./mounts.ts";
import type { PlannedMount, SandboxPlan } from "./plan_parts.ts";

/** What is known beside the plan; what is absent is not spoken of. */
export interface Circumstances {
  readonly pidsLimit?: number;
  readonly memoryLimitMb?: number;
  /** Of one processor. */
  readonly cpuQuotaPercent?: number;
  readonly ioMbPerSecond?: number;
  /** `host:port` that the egress gate lets its proxy reach. */
  readonly egress?: readonly string[];
  /** Names under /http/ on its proxy. */
  readonly services?: readonly string[];
}

export interface Explanation {
  readonly sections: readonly { readonly title: string; readonly lines: readonly string[] }[];
}

export function explainPlan(plan: SandboxPlan, about: Circumstances = {}): Explanation {
  const sections = plan.isolation === "none"
    ? [passthrough(plan), command(plan), network(plan, about), limits(plan, about)]
    : [
      command(plan),
      programs(plan),
      files(plan),
      readOnly(plan),
      devices(plan),
      network(plan, about),
      limits(plan, about),
      forbidden(plan),
    ];
  return { sections: sections.filter(({ lines }) => lines.length > 0) };
}

/** @returns lines for a terminal; control characters of names are shown, not sent */
export function explanationText({ sections }: Explanation): string[] {
  return sections.flatMap(({ title, lines }) => [
    title,
    ...lines.map((line) => `  ${printable(line)}`),
    "",
  ]).slice(0, -1);
}

// deno-lint-ignore no-control-regex -- control characters are what is replaced
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function printable(line: string): string {
  return line.replace(UNPRINTABLE, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function size(bytes: number): string {
  const units: [number, string][] = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
  const [unit, name] = units.find(([unit]) => bytes >= unit && bytes % unit === 0) ?? [1, "bytes"];
  return `${bytes / unit} ${name}`;
}

function command(plan: SandboxPlan) {
  const names = Object.keys(plan.environment).toSorted();
  return {
    title: "It runs",
    lines: [
      plan.command.map((word) => /^[\w./:=@%+,-]+$/.test(word) ? word : JSON.stringify(word)).join(
        " ",
      ),
      `in ${startOf(plan)}, as user 1000 of a namespace of its own, on a terminal of its own`,
      `with these variables and no others: ${names.join(", ")}`,
      `on a host that it sees as "${plan.hostname}"`,
    ],
  };
}

function startOf(plan: SandboxPlan): string {
  return plan.mounts.some(({ dest }) => dest === "/workspace") ? "/workspace" : "/";
}

function programs({ sysroot }: SandboxPlan) {
  const from = sysroot.mounts[0]?.source.replace(/\/usr$/, "");
  return {
    title: "Programs, read-only",
    lines: sysroot.kind === "host"
      ? ["/usr, /bin, /sbin, /lib, /lib64: this machine's own"]
      : sysroot.kind === "rootfs"
      ? [`${sysroot.mounts.map(({ dest }) => dest).join(", ")}: from ${from}`]
      : [`${sysroot.mounts.length} paths of /nix/store, and nothing else of it`],
  };
}

function files(plan: SandboxPlan) {
  return {
    title: "Files",
    lines: [
      ...plan.mounts.filter((mount) => mount.kind !== "bind" || mount.why === undefined)
        .map(describeMount),
      "/etc: made for it (no account, name server or machine id of this machine); certificates and time zone are this machine's",
      "/run/bureau: its proxy's socket and its payload, read-only",
      ...(plan.services === undefined ? [] : [
        "/run/bureau/service: sockets and tokens of the services that it calls, read-only",
      ]),
      ...(plan.services?.listens
        ? ["/run/bureau/listen: writable; it makes its own socket there"]
        : []),
      "everything else is empty and read-only; no other file of this machine can be reached",
    ],
  };
}

function describeMount(mount: PlannedMount): string {
  switch (mount.kind) {
    case "tmpfs":
      return `${mount.dest}: empty, writable, in memory, at most ${
        size(mount.size)
      }, gone at its end`;
    case "dir":
      return `${mount.dest}: empty, writable, in memory, at most ${
        size(mount.size ?? DIRECTORY_BYTES)
      }, gone at its end`;
    case "bind":
      return mount.mode === "rw"
        ? `${mount.dest}: ${mount.source} of this machine, WRITABLE; no quota: it can fill that file system`
        : `${mount.dest}: ${mount.source} of this machine, read-only`;
  }
}

function readOnly(plan: SandboxPlan) {
  const held = plan.mounts.filter((mount) => mount.kind === "bind" && mount.why === "protected");
  return {
    title: "Read-only in what is writable, because programs outside obey it",
    lines: [
      ...held.map(({ dest }) => dest),
      ...(plan.watched.length === 0 ? [] : [
        `not there now; told in the launcher's log when it makes one: ${plan.watched.join(", ")}`,
      ]),
    ],
  };
}

function devices(plan: SandboxPlan) {
  return {
    title: "Devices",
    lines: [
      "null, zero, full, random, urandom, tty and terminals of its own",
      ...plan.devices.map(({ path }) =>
        `${path}: this machine's, as far as the launcher's user may use it`
      ),
    ],
  };
}

function network(plan: SandboxPlan, about: Circumstances) {
  const { egress = [], services = [] } = about;
  return {
    title: "Network",
    lines: [
      plan.isolation === "none"
        ? "this machine's, without a limit; the egress gate binds only what goes through its proxy"
        : "none but a loopback of its own; it speaks to the world through its proxy alone",
      ...(plan.mounts.some((mount) => mount.kind === "bind" && mount.why === "bridge")
        ? ["programs find the proxy at http://127.0.0.1:8642, by HTTP_PROXY and HTTPS_PROXY"]
        : []),
      `its proxy may reach: ${egress.join(", ") || "nothing"}`,
      ...(services.length === 0 ? [] : [
        `services with credentials that it uses but can't read: ${services.join(", ")}`,
      ]),
    ],
  };
}

function limits(plan: SandboxPlan, about: Circumstances) {
  const { pidsLimit, memoryLimitMb, cpuQuotaPercent, ioMbPerSecond } = about;
  const asked = [
    ...(memoryLimitMb === undefined ? [] : [`${memoryLimitMb} MiB of memory`]),
    ...(cpuQuotaPercent === undefined ? [] : [`${cpuQuotaPercent} % of one processor`]),
    ...(ioMbPerSecond === undefined ? [] : [`${ioMbPerSecond} MiB a second from and to each disk`]),
  ];
  return {
    title: "Limits",
    lines: [
      ...(pidsLimit === undefined ? [] : [`${pidsLimit} processes and threads`]),
      ...(asked.length === 0 ? [] : [
        `asked for: ${asked.join(", ")}; preflight says whether this machine holds it`,
      ]),
      `${plan.files ?? DEFAULT_FILES} open files in one process, no core files`,
      ...(plan.isolation === "none" ? [] : ["64 MiB in /dev/shm"]),
    ],
  };
}

function forbidden({ seccomp }: SandboxPlan) {
  return {
    title: "It can't",
    lines: [
      "see or signal processes outside (a pid namespace), nor trace them",
      "gain rights: no capability, no setuid (no_new_privs), no new user namespace",
      "type into the terminal it was started from (a session of its own)",
      "speak to sockets of this machine, abstract ones included (a network namespace)",
      "mount, or move a protected name or what holds it away (each is a mount of its own)",
      ...(seccomp === null
        ? []
        : [`make the system calls that the seccomp profile "${seccomp}" refuses`]),
    ],
  };
}

function passthrough(plan: SandboxPlan) {
  return {
    title: "NOT ISOLATED, by an exception in this machine's policy",
    lines: [
      "it reads and writes every file that the launcher's user can, other agents' workspaces among them,",
      "uses this machine's network and devices, and sees other users' sockets",
      "what stays: a pid namespace (it can be ended whole), no capability, a terminal of its own, its proxy, its limits",
      ...plan.mounts.map(describeMount),
    ],
  };
}
