// SPDX-License-Identifier: Apache-2.0

/** What a principal on the daemon's side is given. */
import type { launcherApi } from "../launcher/api.ts";
import type { Clock } from "../lib/clock.ts";
import type { Client } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import type { Approvals } from "./approvals/approvals.ts";
import type { EgressAsks } from "./asks/asks.ts";
import type { Said } from "./attention/decide.ts";
import type { Evaluation } from "./desired.ts";
import type { Gates } from "./egress/gates.ts";
import type { ManagedPrincipal } from "./principal.ts";
import type { StatusPublisher } from "./publisher.ts";
import type { Refused } from "./refusals.ts";
import type { Spending } from "./spending.ts";

export interface PrincipalDeps {
  readonly launcher: Client<typeof launcherApi>;
  readonly publisher: StatusPublisher;
  readonly evaluate: (userId: string) => Promise<Evaluation>;
  readonly runDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly gates: Gates;
  readonly asks: Pick<EgressAsks, "ask" | "extend" | "settle">;
  readonly spending: Spending;
  readonly onRefused: (refused: Refused) => void;
  readonly onSaid?: (principal: string, said: Said) => void;
  readonly onApprovals?: Approvals["hear"];
  /** Called with each pass's time. */
  readonly onPass?: (seconds: number, isGood: boolean) => void;
  /** Called after every pass, so that the owner can drop a principal that is gone. */
  readonly onIdle: (principal: ManagedPrincipal) => void;
}
