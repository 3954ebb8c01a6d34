// SPDX-License-Identifier: Apache-2.0

/** Who serves a run directory just now. */
import { createClient, HttpApiError } from "../lib/http/mod.ts";
import { pathsOf } from "../lib/process/mod.ts";
import { supervisorApi, type SupervisorStatus } from "./api.ts";
import type { UpOptions } from "./options.ts";

/** The status of the supervisor on this run directory, or null when none answers. */
export async function currentStatus(options: UpOptions): Promise<SupervisorStatus | null> {
  const client = createClient(supervisorApi, { socket: pathsOf(options).upSocket });
  try {
    return await client.call("status");
  } catch (thrown) {
    if (thrown instanceof HttpApiError && thrown.code === "unreachable") return null;
    throw thrown;
  } finally {
    client.close();
  }
}

/** Asks whoever serves it to end everything. */
export async function requestDown(options: UpOptions): Promise<void> {
  const client = createClient(supervisorApi, { socket: pathsOf(options).upSocket });
  try {
    await client.call("down");
  } finally {
    client.close();
  }
}
