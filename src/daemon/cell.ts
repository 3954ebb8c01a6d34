// SPDX-License-Identifier: Apache-2.0
import type { Principal as LauncherPrincipal } from "../launcher/api.ts";
import type { Cell } from "./reconcile.ts";

/** What a decision needs of what the launcher says. */
export function cellOf(status: LauncherPrincipal | null): Cell | null {
  return status === null ? null : {
    phase: status.phase,
    issuedAt: status.issued_at,
    credentialsDigest: status.credentials_digest,
    startedAt: status.started_at,
    exit: status.exit === null ? null : { code: status.exit.code, at: status.exit.at },
    message: status.message,
  };
}
