// SPDX-License-Identifier: Apache-2.0

/** What the process `resident` gets on its standard input: where it listens, as whom, and what workers may have there. */
import * as z from "zod/mini";

/** What a resident's certificate is for; which resident it is says its authority. No public one signs such a name. */
export const RESIDENT_NAME = "worker.bureau.internal";

export const ResidentBootstrap = z.object({
  version: z.literal(1),
  mode: z.literal("resident"),
  /** `HOST:PORT`. */
  listen: z.string(),
  run_dir: z.string(),
  state_dir: z.string(),
  /** Where workers and this process meet; bound into each sandbox at the same path. */
  fabric_dir: z.string(),
  /** The launcher's document without what is to run: opaque here. */
  launcher: z.record(z.string(), z.json()),
  identity: z.object({
    /** PEM, as the other two. */
    authority: z.string(),
    certificate: z.string(),
    /** Secret. */
    key: z.string(),
  }),
  token_sha256: z.string(),
  /** Where it was made just now: to be said once, and kept nowhere. Secret. */
  token: z.nullable(z.string()),
  /** A provision spec: what no worker here is given more than. Secret. */
  own: z.record(z.string(), z.json()),
  /** Whether `own` names the one executor, or whatever it has is a default. */
  one_executor: z.boolean(),
  /** Of the sandbox, as it sees them. */
  binds: z.array(z.object({ dest: z.string(), mode: z.enum(["ro", "rw"]) })),
  /** One JSON line instead of words. */
  json: z.boolean(),
});
export type ResidentBootstrap = z.infer<typeof ResidentBootstrap>;
