// SPDX-License-Identifier: Apache-2.0

/** What the commands of `environment` give as JSON. */
import * as z from "zod/mini";
import { push } from "../template/results.ts";

const Changes = push.shape.changes;

const Generation = z.object({
  number: z.number(),
  current: z.boolean(),
  /** What a template's `environment` says. */
  closure: z.string(),
  result: z.string(),
  flake: z.string(),
  revision: z.nullable(z.string()),
  built_at: z.string(),
  paths: z.number(),
  bytes: z.number(),
});
/** A template, or an agent whose assignment says it in the template's place. */
const User = z.object({
  kind: z.enum(["template", "agent"]),
  name: z.string(),
  machine: z.nullable(z.string()),
  generation: z.nullable(z.number()),
});
const PathChange = z.object({
  name: z.string(),
  before: z.array(z.string()),
  after: z.array(z.string()),
  bytes: z.number(),
});
/** What was, or with `dry_run` would be, written into rooms. */
const Moved = z.object({
  dry_run: z.boolean(),
  templates: Changes,
  agents: z.array(z.string()),
  signed: z.array(z.object({
    principal: z.string(),
    signed: z.boolean(),
    problem: z.nullable(z.string()),
  })),
});

export const list = z.object({
  environments: z.array(z.object({
    name: z.string(),
    generation: Generation,
    generations: z.number(),
  })),
});
export const show = z.object({
  name: z.string(),
  generations: z.array(Generation),
  /** Of the current generation, largest first. */
  store_paths: z.array(z.object({ path: z.string(), bytes: z.number() })),
  users: z.array(User),
});
export const outputs = z.object({
  system: z.string(),
  outputs: z.array(z.object({ output: z.string(), name: z.string() })),
});
export const build = z.object({
  name: z.string(),
  changed: z.boolean(),
  generation: Generation,
});
export const use = z.object({ name: z.string(), generation: z.number(), moved: Moved });
export const update = z.object({
  name: z.string(),
  changed: z.boolean(),
  dry_run: z.boolean(),
  before: z.number(),
  after: z.number(),
  differences: z.array(PathChange),
  bytes: z.number(),
  moved: z.nullable(Moved),
});
export const rollback = update;
export const remove = z.object({
  name: z.string(),
  generations: z.array(z.number()),
  whole: z.boolean(),
});
