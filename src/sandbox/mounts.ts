// SPDX-License-Identifier: Apache-2.0

/**
 * A plan's mounts as bwrap words. What the sandbox binds is bound in its tmux cell first, at `/source/<n>`;
 * there the start script sees that each is the file that was checked, before the sandbox binds it again.
 */
import {
  boundSources,
  type PlannedBind,
  type PlannedDevice,
  type SandboxPlan,
} from "./plan_parts.ts";

/** A directory that a template creates and says no size of: 64 MiB. */
export const DIRECTORY_BYTES = 64 * 1024 * 1024;
/** Files and directories of the host's /etc that are shown; everything else there is made anew. */
export const SHOWN_ETC = {
  directories: ["ssl", "ca-certificates", "alternatives"],
  files: ["ld.so.cache", "localtime"],
} as const;

export function tmpfs(dest: string, size: number): string[] {
  return ["--size", String(size), "--perms", "1777", "--tmpfs", dest];
}

function places(plan: SandboxPlan): Map<PlannedBind | PlannedDevice, string> {
  return new Map(boundSources(plan).map(({ bound, at }) => [bound, at]));
}

/** For the tmux cell: everything that the sandbox binds, at constant paths. */
export function sourceArguments(plan: SandboxPlan): string[] {
  return [
    ...shownEtc("/etc", "/source/etc"),
    ...boundSources(plan).flatMap(({ bound, source, at }) => [bindWord(bound), source, at]),
  ];
}

function bindWord(bound: PlannedBind | PlannedDevice): string {
  if (!("kind" in bound)) return "--dev-bind";
  return bound.mode === "rw" ? "--bind" : "--ro-bind";
}

function shownEtc(from: string, to: string, but: readonly string[] = []): string[] {
  return [...SHOWN_ETC.directories, ...SHOWN_ETC.files].filter((name) => !but.includes(name))
    .flatMap((name) => ["--ro-bind-try", `${from}/${name}`, `${to}/${name}`]);
}

/** For the sandbox: its programs, where they aren't the host's. */
export function sysrootArguments(plan: SandboxPlan): string[] {
  const at = places(plan);
  return [
    ...plan.sysroot.mounts.filter(({ dest }) => !dest.startsWith("/etc/"))
      .flatMap((mount) => ["--ro-bind", at.get(mount)!, mount.dest]),
    ...plan.sysroot.links.flatMap(({ target, dest }) => ["--symlink", target, dest]),
  ];
}

/** For the sandbox: its devices. They come between the new /dev and its end as writable. */
export function deviceArguments(plan: SandboxPlan): string[] {
  const at = places(plan);
  return plan.devices.flatMap((device) => ["--dev-bind", at.get(device)!, device.path]);
}

/** For the sandbox: an /etc of its own, with the host's certificates and time zone. */
export function etcArguments(plan: SandboxPlan, made: string): string[] {
  const at = places(plan);
  const own = plan.sysroot.mounts.filter(({ dest }) => dest.startsWith("/etc/"));
  // Another system's libraries are not where the host's cache says.
  const hidden = plan.sysroot.kind === "host" ? [] : ["ld.so.cache", "alternatives"];
  return [
    "--ro-bind",
    made,
    "/etc",
    ...shownEtc("/source/etc", "/etc", hidden),
    ...own.flatMap((mount) => ["--ro-bind", at.get(mount)!, mount.dest]),
  ];
}

/** For the sandbox: what its template asks for, and what stays read-only in that. */
export function mountArguments(plan: SandboxPlan): string[] {
  const at = places(plan);
  return plan.mounts.flatMap((mount) => {
    switch (mount.kind) {
      case "tmpfs":
        return tmpfs(mount.dest, mount.size);
      case "dir":
        // The sandbox's root is read-only; a directory that a template asks for is to be written in.
        return tmpfs(mount.dest, mount.size ?? DIRECTORY_BYTES);
      case "bind":
        return [bindWord(mount), at.get(mount)!, mount.dest];
    }
  });
}

/** Where the agent begins. */
export function startDirectory(plan: SandboxPlan): string {
  return plan.mounts.some((mount) => mount.dest === "/workspace") ? "/workspace" : "/";
}

/** The agent's environment and nothing else, in one order. */
export function environmentArguments(plan: SandboxPlan): string[] {
  return Object.entries(plan.environment).toSorted(([a], [b]) => a < b ? -1 : 1)
    .flatMap(([name, value]) => ["--setenv", name, value]);
}
