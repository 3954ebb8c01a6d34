// SPDX-License-Identifier: Apache-2.0

/** What rooms say of workspaces, of terminals' layouts, and of who looks after a room. */
import * as z from "zod/mini";

const words = z.array(z.string());
const names = z.record(z.string(), z.string());
/** Absent: the first. A reader refuses a later one instead of guessing. */
const version = z.optional(z.literal(1));

/** `m.bureau.project`, state key = the project, in its workspace room: what is worked on. */
export const Project = z.looseObject({
  version,
  /** URL of the repository. */
  repository: z.optional(z.string()),
  /** Where it lies, below the machine's workspaces. */
  workspace_path: z.optional(z.string()),
  /** By path. */
  worktrees: z.optional(z.record(z.string(), z.unknown())),
});
export type Project = z.infer<typeof Project>;

/** `m.bureau.workspace`, in its room, by the machine that it lies on. */
export const Workspace = z.object({
  version,
  /** Where it is in its life. */
  status: z.enum(["pending", "active", "teardown", "archived", "removed", "failed"]),
  /** State key of its `m.bureau.project`. */
  project: z.string(),
  /** User id of the machine that it lies on. */
  machine: z.optional(z.string()),
  /** Where it lies there. */
  workspace_path: z.optional(z.string()),
  /** What becomes of it in the end. */
  teardown_mode: z.optional(z.enum(["archive", "delete"])),
  /** RFC 3339. */
  updated_at: z.optional(z.string()),
  /** Where it was archived. */
  archive_path: z.optional(z.string()),
});
export type Workspace = z.infer<typeof Workspace>;

/** `m.bureau.worktree`, state key = its path, in the workspace's room. */
export const Worktree = z.object({
  version,
  /** Where it is in its life. */
  status: z.enum(["creating", "active", "removing", "archived", "removed", "failed"]),
  /** State key of its `m.bureau.project`. */
  project: z.optional(z.string()),
  /** User id of the machine that it lies on. */
  machine: z.optional(z.string()),
  /** Branch that it has. */
  branch: z.optional(z.string()),
  /** Where it lies there. */
  worktree_path: z.optional(z.string()),
  /** RFC 3339. */
  updated_at: z.optional(z.string()),
});
export type Worktree = z.infer<typeof Worktree>;

/** `m.bureau.dev_team`: the room of those who look after this one. */
export const DevTeam = z.object({
  version,
  /** Alias of the team's room. */
  room: z.string(),
});
export type DevTeam = z.infer<typeof DevTeam>;

const Pane = z.object({
  /** Account localpart of whom it shows. */
  observe: z.optional(z.string()),
  /** Or what it runs. */
  command: z.optional(z.string()),
  /** Or the role of the one that it shows. */
  role: z.optional(z.string()),
  /** Or everybody of the room that it is for, as far as it fits. */
  observe_members: z.optional(z.object({
    /** Only those whose assignment has these labels. */
    labels: z.optional(names),
  })),
  /** How it splits off; absent: `vertical`. */
  split: z.optional(z.enum(["horizontal", "vertical"])),
  /** Percent of the pane that it splits; absent: equal parts with its neighbours. */
  size: z.optional(z.int().check(z.minimum(1), z.maximum(99))),
  /** Which earlier pane of the window it splits, from 0; absent: the one before it. */
  of: z.optional(z.int().check(z.minimum(0))),
});

/** `m.bureau.layout`, state key = a principal, or nobody: windows of a terminal and what they show. */
export const Layout = z.object({
  version,
  /** Key of tmux that begins a command: `C-a`. */
  prefix: z.optional(z.string()),
  /** From left to right. */
  windows: z.array(z.object({
    /** Shown in the line of windows. */
    name: z.string(),
    /** In the order in which they are split off. */
    panes: z.array(Pane),
  })),
  /** User id of the machine that wrote it. */
  source_machine: z.optional(z.string()),
  /** What only its writer reads. */
  sealed_metadata: z.optional(z.string()),
});
export type Layout = z.infer<typeof Layout>;

/** `m.bureau.machine_drain`, in a machine's ops room: its services finish what they do. */
export const MachineDrain = z.object({
  version,
  /** Absent: all. */
  services: z.optional(words),
  /** User id of who asked. */
  reservation_holder: z.string(),
  /** RFC 3339. */
  requested_at: z.string(),
});
export type MachineDrain = z.infer<typeof MachineDrain>;

/** `m.bureau.drain_status`, state key = who answers. */
export const DrainStatus = z.object({
  version,
  /** It takes nothing new. */
  acknowledged: z.boolean(),
  /** How much it still works on. */
  in_flight: z.int(),
  /** RFC 3339; present when that is nothing. */
  drained_at: z.optional(z.string()),
});
export type DrainStatus = z.infer<typeof DrainStatus>;
