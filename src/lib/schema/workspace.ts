// SPDX-License-Identifier: Apache-2.0

/** What rooms say of workspaces, of terminals' layouts, and of who looks after a room. */
import * as z from "zod/mini";

const words = z.array(z.string());
const names = z.record(z.string(), z.string());
const version = z.optional(z.literal(1));

/** `m.bureau.project`, state key = the project, in its workspace room: what is worked on. */
export const Project = z.looseObject({
  version,
  repository: z.optional(z.string()),
  workspace_path: z.optional(z.string()),
  worktrees: z.optional(z.record(z.string(), z.unknown())),
});
export type Project = z.infer<typeof Project>;

/** `m.bureau.workspace`, in its room, by the machine that it lies on. */
export const Workspace = z.object({
  version,
  status: z.enum(["pending", "active", "teardown", "archived", "removed", "failed"]),
  project: z.string(),
  machine: z.optional(z.string()),
  workspace_path: z.optional(z.string()),
  teardown_mode: z.optional(z.enum(["archive", "delete"])),
  updated_at: z.optional(z.string()),
  archive_path: z.optional(z.string()),
});
export type Workspace = z.infer<typeof Workspace>;

/** `m.bureau.worktree`, state key = its path, in the workspace's room. */
export const Worktree = z.object({
  version,
  status: z.enum(["creating", "active", "removing", "archived", "removed", "failed"]),
  project: z.optional(z.string()),
  machine: z.optional(z.string()),
  branch: z.optional(z.string()),
  worktree_path: z.optional(z.string()),
  updated_at: z.optional(z.string()),
});
export type Worktree = z.infer<typeof Worktree>;

/** `m.bureau.dev_team`: the room of those who look after this one. */
export const DevTeam = z.object({ version, room: z.string() });
export type DevTeam = z.infer<typeof DevTeam>;

const Pane = z.object({
  /** Account localpart of whom it shows. */
  observe: z.optional(z.string()),
  command: z.optional(z.string()),
  role: z.optional(z.string()),
  observe_members: z.optional(z.object({ labels: z.optional(names) })),
  split: z.optional(z.enum(["horizontal", "vertical"])),
  /** Percent of the pane that it splits; absent: equal parts with its neighbours. */
  size: z.optional(z.int().check(z.minimum(1), z.maximum(99))),
  /** Which earlier pane of the window it splits, from 0; absent: the one before it. */
  of: z.optional(z.int().check(z.minimum(0))),
});

/** `m.bureau.layout`, state key = a principal, or nobody: windows of a terminal and what they show. */
export const Layout = z.object({
  version,
  prefix: z.optional(z.string()),
  windows: z.array(z.object({ name: z.string(), panes: z.array(Pane) })),
  source_machine: z.optional(z.string()),
  sealed_metadata: z.optional(z.string()),
});
export type Layout = z.infer<typeof Layout>;

/** `m.bureau.machine_drain`, in a machine's ops room: its services finish what they do. */
export const MachineDrain = z.object({
  version,
  /** Absent: all. */
  services: z.optional(words),
  reservation_holder: z.string(),
  requested_at: z.string(),
});
export type MachineDrain = z.infer<typeof MachineDrain>;

/** `m.bureau.drain_status`, state key = who answers. */
export const DrainStatus = z.object({
  version,
  acknowledged: z.boolean(),
  in_flight: z.int(),
  drained_at: z.optional(z.string()),
});
export type DrainStatus = z.infer<typeof DrainStatus>;
