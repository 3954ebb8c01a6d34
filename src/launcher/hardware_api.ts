// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";

/** What the kernel says of the machine; null: it does not say. */
export const Hardware = z.object({
  cpu: z.object({
    model: z.nullable(z.string()),
    architecture: z.nullable(z.string()),
    sockets: z.number(),
    cores: z.number(),
    threads: z.number(),
    l3_cache_kb: z.nullable(z.number()),
  }),
  memory_bytes: z.nullable(z.number()),
  swap_bytes: z.nullable(z.number()),
  numa: z.array(z.object({
    id: z.number(),
    cpus: z.array(z.number()),
    memory_bytes: z.nullable(z.number()),
  })),
  gpus: z.array(z.object({
    vendor: z.enum(["nvidia", "amd", "intel", "other"]),
    pci_id: z.nullable(z.string()),
    pci_slot: z.nullable(z.string()),
    driver: z.nullable(z.string()),
    model: z.nullable(z.string()),
    memory_bytes: z.nullable(z.number()),
  })),
  board: z.object({
    vendor: z.nullable(z.string()),
    product: z.nullable(z.string()),
    board: z.nullable(z.string()),
    firmware: z.nullable(z.string()),
  }),
});
export type Hardware = z.infer<typeof Hardware>;
