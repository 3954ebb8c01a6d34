// SPDX-License-Identifier: Apache-2.0

/** What the commands of `agent` give as JSON. */
import * as z from "zod/mini";
import { ApprovalsAnswer, ApprovalView, daemonApi, PrincipalView } from "../../daemon/api.ts";

const { routes } = daemonApi;
const principal = z.string();

const Repository = z.object({
  source: z.string(),
  branch: z.string(),
  /** What the last look found; absent: nobody has looked. */
  look: z.optional(z.object({
    at: z.number(),
    head: z.string(),
    against: z.nullable(z.string()),
    ahead: z.number(),
    behind: z.number(),
    uncommitted: z.number(),
  })),
});
const Agent = z.object({ ...PrincipalView.shape, repository: z.optional(Repository) });

export const list = z.object({
  principals: z.array(z.object({
    ...Agent.shape,
    /** With `usage`; null: nothing counts it. */
    usage: z.optional(z.nullable(routes.usage.response)),
  })),
  /** Work of agents that are gone. */
  kept: z.optional(z.array(z.object({ principal, repository: Repository }))),
});
export const show = Agent;
export const usage = routes.usage.response;
export const output = z.object({ principal, ...routes.output.response.shape });
export const metrics = routes.agentMetrics.response;
export const freeze = z.object({ principal, ...routes.freeze.response.shape });
export const thaw = z.object({ principal, ...routes.thaw.response.shape });
export const kill = z.object({ principal, ...routes.kill.response.shape });
export const approvals = ApprovalsAnswer;
export const approve = ApprovalView;
export const deny = ApprovalView;
export const create = z.object({
  principal,
  user_id: z.string(),
  /** Null with `dry-run`. */
  room: z.nullable(z.string()),
  changed: z.boolean(),
  dry_run: z.optional(z.boolean()),
  /** With `wait`: how it went. */
  waited: z.optional(z.object({
    phase: PrincipalView.shape.phase,
    /** The first line of its first message; null: none yet. */
    said: z.nullable(z.string()),
  })),
  /** That it needs, and no service fills here. */
  unbound_roles: z.optional(z.array(z.string())),
});
export const payload = z.object({
  principal,
  payload: z.record(z.string(), z.unknown()),
  /** Where one was given. */
  changed: z.optional(z.boolean()),
});
export const drain = z.object({
  stopped: z.array(z.string()),
  still_running: z.array(z.string()),
  failed: z.array(z.object({ principal, message: z.string() })),
});
export const start = z.object({ principal, changed: z.boolean() });
/** Nothing where its work is looked at first. */
const Summary = {
  principal,
  source: z.string(),
  branch: z.nullable(z.string()),
  head: z.string(),
  against: z.nullable(z.string()),
  ahead: z.number(),
  behind: z.number(),
  uncommitted: z.array(z.string()),
  left_out: z.array(z.string()),
  other_branches: z.array(z.object({ name: z.string(), commits: z.number() })),
};
/** Undefined: what is to run in a cell, which `sh tasks/bureau` asks for first. */
export const diff = z.optional(z.object({
  ...Summary,
  files: z.array(z.object({
    path: z.string(),
    /** Null: a binary file. */
    added: z.nullable(z.number()),
    deleted: z.nullable(z.number()),
    uncommitted: z.boolean(),
  })),
  patch: z.optional(z.string()),
  truncated: z.optional(z.boolean()),
}));
export const log = z.optional(z.object({
  ...Summary,
  commits: z.array(z.object({
    commit: z.string(),
    author: z.string(),
    email: z.string(),
    /** Milliseconds since the epoch. */
    at: z.number(),
    subject: z.string(),
    body: z.string(),
  })),
}));
export const merge = z.optional(z.object({
  ...Summary,
  into: z.string(),
  squash: z.boolean(),
  changed: z.boolean(),
  commit: z.nullable(z.string()),
  work_tree: z.nullable(z.string()),
}));
export const discard = z.object({
  principal,
  removed: z.string(),
  /** A new clone is in its place. */
  fresh: z.boolean(),
});
export const install = z.object({
  programs: z.array(z.object({
    name: z.string(),
    version: z.nullable(z.string()),
    description: z.string(),
  })),
});
export const destroy = z.object({
  principal,
  gone: z.boolean(),
  /** Where its unmerged work was left. */
  unmerged: z.optional(z.string()),
});

const InRoom = z.object({ principal, room: z.string(), changed: z.boolean() });
export const join = InRoom;
export const leave = InRoom;
