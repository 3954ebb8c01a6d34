// SPDX-License-Identifier: Apache-2.0

/** What a plan is made of. Data only: everything in it can be printed, compared and explained. */

import type { Profile } from "./seccomp/mod.ts";

export interface PlannedBind {
  readonly kind: "bind";
  /** Host path. */
  readonly source: string;
  readonly dest: string;
  readonly mode: "ro" | "rw";
  /** `device:inode` of what was checked; the cell compares it with what was bound. */
  readonly identity?: string;
  /**
   * Absent: the template asked for it. `protected`: a name that stays read-only; `pinned`: an ancestor of
   * one, a mount of its own so that it can't be moved away; `sysroot`: the sandbox's programs;
   * `bridge`: what the bridge runs from.
   */
  readonly why?: "protected" | "pinned" | "sysroot" | "bridge";
}

export type PlannedMount =
  | PlannedBind
  | { readonly kind: "tmpfs"; readonly dest: string; readonly size: number }
  | {
    readonly kind: "dir";
    readonly dest: string;
    /** Bytes; absent: the usual. */
    readonly size?: number;
  };

/** Where programs come from. `links` are made in the sandbox, they lead nowhere outside it. */
export interface PlannedSysroot {
  readonly kind: "host" | "rootfs" | "nix";
  readonly mounts: readonly PlannedBind[];
  readonly links: readonly { readonly target: string; readonly dest: string }[];
}

export interface PlannedDevice {
  /** Of the host and in the sandbox. */
  readonly path: string;
  readonly identity?: string;
}

export interface SandboxPlan {
  /** `none`: no confinement, by the operator's written exception. */
  readonly isolation: "standard" | "none";
  /** Parents before children. */
  readonly mounts: readonly PlannedMount[];
  readonly sysroot: PlannedSysroot;
  readonly devices: readonly PlannedDevice[];
  /** Host paths of protected names that were not there; something that appears there is the agent's. */
  readonly watched: readonly string[];
  /** Of passthrough: host directories whose entries are bound one by one, with their entries. */
  readonly opened: readonly { readonly dir: string; readonly names: readonly string[] }[];
  readonly hostname: string;
  /** Null: the kernel refuses nothing, which is for passthrough only. */
  readonly seccomp: Profile | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** Open files in one process; absent: the usual. */
  readonly files?: number;
  /** Absent: it is no service, and calls none. */
  readonly services?: PlannedServices;
}

/** See `services.ts`. */
export interface PlannedServices {
  /** It is a service, and makes its socket. */
  readonly listens: boolean;
}

/** Something that the tmux cell binds for the sandbox. */
export interface BoundSource {
  readonly bound: PlannedBind | PlannedDevice;
  /** Host path. */
  readonly source: string;
  /** Where it appears in the tmux cell. */
  readonly at: string;
}

/** Everything that the tmux cell binds; a template's mounts by their number in the plan. */
export function boundSources(plan: SandboxPlan): BoundSource[] {
  return [
    ...plan.sysroot.mounts.map((bound, n) => ({
      bound,
      source: bound.source,
      at: `/source/sysroot/${n}`,
    })),
    ...plan.mounts.flatMap((bound, n) =>
      bound.kind === "bind" ? [{ bound, source: bound.source, at: `/source/${n}` }] : []
    ),
    ...plan.devices.map((bound, n) => ({ bound, source: bound.path, at: `/source/device/${n}` })),
  ];
}
