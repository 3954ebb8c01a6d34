// SPDX-License-Identifier: Apache-2.0

/** A worker's side: asks its parent for a worker of its own. */
import { socketOf } from "../fabric/mod.ts";
import { ParentError } from "../parent/errors.ts";
import type { Worker } from "../parent/worker.ts";
import { placeAtSocket } from "../place/mod.ts";
import type { ProvisionInput, ProvisionSpec } from "../provision/mod.ts";

/**
 * @param own this worker's spec
 * @param asked what its parent must not give it has only this worker's own, whatever it says
 * @throws {PlacementError} with the parent's code: `too-deep`, `too-many`, `not-allowed`
 */
export async function askForWorker(
  own: ProvisionSpec,
  asked: ProvisionInput,
  signal: AbortSignal,
): Promise<Worker> {
  const { spawn_endpoint = "" } = own.capabilities;
  const { worker_auth_token: token = "" } = own.secrets;
  const path = socketOf(spawn_endpoint);
  if (path !== null) return await placeAtSocket(path, asked, { signal, token });
  throw new ParentError(
    "bad-placement",
    `Cannot ask for a worker at "${spawn_endpoint}": it is no local socket`,
  );
}
