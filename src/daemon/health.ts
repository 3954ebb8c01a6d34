// SPDX-License-Identifier: Apache-2.0
import type { Principal as LauncherPrincipal } from "../launcher/api.ts";
import type { PrincipalView } from "./api.ts";

type Shown = Pick<PrincipalView, "health" | "rolled_back">;

/** What the launcher found out about what runs, for people. */
export function healthOf(status: LauncherPrincipal | null): Shown {
  if (status === null || status.phase === "exited" || status.phase === "failed") return {};
  return {
    ...(status.health === undefined ? {} : { health: status.health }),
    ...(status.rolled_back === undefined ? {} : { rolled_back: status.rolled_back.why }),
  };
}
