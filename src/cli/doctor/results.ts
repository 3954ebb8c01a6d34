// SPDX-License-Identifier: Apache-2.0

/** What `doctor` gives as JSON. */
import * as z from "zod/mini";
import { GROUPS } from "./check.ts";

const text = z.nullable(z.string());
const count = z.nullable(z.number());

/** What the machine is made of (src/lib/hwinfo). */
const Inventory = z.object({
  cpu: z.object({
    model: text,
    architecture: text,
    sockets: z.number(),
    cores: z.number(),
    threads: z.number(),
    l3_cache_kb: count,
  }),
  memory_bytes: count,
  swap_bytes: count,
  numa: z.array(z.object({ id: z.number(), cpus: z.array(z.number()), memory_bytes: count })),
  gpus: z.array(z.object({
    vendor: z.enum(["nvidia", "amd", "intel", "other"]),
    pci_id: text,
    pci_slot: text,
    driver: text,
    model: text,
    memory_bytes: count,
  })),
  board: z.object({ vendor: text, product: text, board: text, firmware: text }),
});

const Finding = z.object({
  group: z.enum(GROUPS),
  /** Stable: `homeserver.versions`. A check may find several of one name. */
  name: z.string(),
  /** `skip`: it could not be looked at, and `detail` says why. */
  status: z.enum(["pass", "warn", "fail", "skip"]),
  detail: z.string(),
  /** Why it matters. */
  reason: z.optional(z.string()),
  /** What a person does about it. */
  hint: z.optional(z.string()),
  /** What tells more. */
  guide: z.string(),
  /** What --fix does about it. */
  repair: z.optional(z.object({
    what: z.string(),
    needs_root: z.boolean(),
    /** It changes the whole machine: done with --yes only. */
    machine: z.boolean(),
  })),
});

const Repair = z.object({
  name: z.string(),
  what: z.string(),
  /** `left`: with --dry-run, or because it needs root or --yes; `why` says which. */
  outcome: z.enum(["done", "failed", "left"]),
  why: z.nullable(z.string()),
});

/** Nothing with --fixes. */
export const doctor = z.optional(z.object({
  /** As it is after what was mended. */
  checks: z.array(Finding),
  /** With --fix and --dry-run. */
  repairs: z.array(Repair),
  inventory: Inventory,
}));
export type Repair = z.infer<typeof Repair>;
