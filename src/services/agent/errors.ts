// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";

/** A request that the agent service doesn't serve as it stands. */
export class AgentServiceError extends BureauError {
  override readonly name = "AgentServiceError";
}
