// SPDX-License-Identifier: Apache-2.0

/** How it is found out whether an agent works. */
import * as z from "zod/mini";

const seconds = (least: number, most: number) =>
  z.optional(z.int().check(z.minimum(least), z.maximum(most)));
const innerPath = z.string().check(z.regex(/^\/[^\0\n]*$/));

/** Exactly one of `command`, `http` and `file`. Everything is tried inside the sandbox, with the agent's own rights. */
export const HealthCheck = z.object({
  /** Healthy when it ends with status 0. */
  command: z.optional(z.array(z.string()).check(z.minLength(1))),
  /** Healthy when it answers with a status below 400. Needs `curl` in the sandbox. */
  http: z.optional(
    z.object({
      /** A Unix socket, or a port on the sandbox's own loopback. */
      socket: z.optional(innerPath),
      /** Or a port on it. */
      port: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
      /** Absent: `/health`. */
      path: z.optional(innerPath),
    }).check(z.refine(({ socket, port }) => (socket === undefined) !== (port === undefined))),
  ),
  /** Healthy while the file was written in so many seconds. */
  file: z.optional(
    z.object({
      /** Inside the sandbox. */
      path: innerPath,
      /** How old at most. */
      max_age_seconds: z.int().check(z.minimum(1), z.maximum(86_400)),
    }),
  ),
  /** Between two tries; 1 to 3600, default 10. */
  interval_seconds: seconds(1, 3_600),
  /** Of one try; 1 to 60, default 5. */
  timeout_seconds: seconds(1, 60),
  /** So many failures in a row are one; 1 to 100, default 3. */
  failure_threshold: z.optional(z.int().check(z.minimum(1), z.maximum(100))),
  /** After a start, before the first success, failures count for nothing; 0 to 3600, default 30. */
  grace_period_seconds: seconds(0, 3_600),
}).check(
  z.refine(({ command, http, file }) =>
    [command, http, file].filter((one) => one !== undefined).length === 1
  ),
);
export type HealthCheck = z.infer<typeof HealthCheck>;

/** With what stands for what it does not say. */
export function healthTimes(check: HealthCheck): {
  readonly interval: number;
  readonly timeout: number;
  readonly threshold: number;
  readonly grace: number;
} {
  return {
    interval: check.interval_seconds ?? 10,
    timeout: check.timeout_seconds ?? 5,
    threshold: check.failure_threshold ?? 3,
    grace: check.grace_period_seconds ?? 30,
  };
}
