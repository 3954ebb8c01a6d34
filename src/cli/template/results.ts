// SPDX-License-Identifier: Apache-2.0

/** What the commands of `template` give as JSON. */
import * as z from "zod/mini";
import { Template } from "../../lib/schema/mod.ts";

const digest = z.nullable(z.string());
const problem = z.nullable(z.string());
const Difference = z.object({
  field: z.string(),
  before: z.optional(z.unknown()),
  after: z.optional(z.unknown()),
});
const Mistake = z.object({
  line: z.nullable(z.number()),
  column: z.nullable(z.number()),
  field: z.string(),
  message: z.string(),
});
/** An assignment that a change reaches. */
const Affected = z.object({
  principal: z.string(),
  machine: z.string(),
  template: z.string(),
  extra_inherits: z.array(z.string()),
  desired: z.string(),
  signed_digest: z.string(),
  digest,
  must_sign: z.boolean(),
  restarts: z.nullable(z.boolean()),
  problem,
});
const Written = z.object({
  dry_run: z.boolean(),
  changes: z.array(z.object({
    reference: z.string(),
    digest: z.string(),
    differences: z.array(Difference),
  })),
  must_sign: z.array(Affected),
});

export const list = z.object({
  templates: z.array(z.object({
    template: z.string(),
    digest,
    origin: z.enum(["own", "built-in", "differs", "missing"]),
    written_by: z.nullable(z.string()),
    written_at: z.nullable(z.string()),
    description: z.nullable(z.string()),
    problem,
  })),
});
export const show = z.union([
  z.object({
    reference: z.string(),
    written_by: z.string(),
    written_at: z.nullable(z.string()),
    /** Null: what stands there is none. */
    template: z.nullable(Template),
  }),
  /** With `resolved`: after its parents. */
  z.object({
    reference: z.string(),
    digest: z.string(),
    lineage: z.array(z.string()),
    template: Template,
    origins: z.array(z.object({
      field: z.string(),
      value: z.unknown(),
      from: z.array(z.string()),
    })),
  }),
]);
export const diff = z.object({ differences: z.array(Difference) });
export const validate = z.object({
  source: z.string(),
  valid: z.boolean(),
  mistakes: z.array(Mistake),
  warnings: z.array(Mistake),
});
export const push = Written;
export const publish = Written;
export const update = Written;
export const impact = z.object({
  reference: z.string(),
  assignments: z.array(Affected),
  /** With `sign`. */
  signed: z.optional(z.array(z.object({
    principal: z.string(),
    signed: z.boolean(),
    problem,
  }))),
});
