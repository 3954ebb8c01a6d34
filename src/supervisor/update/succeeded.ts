// SPDX-License-Identifier: Apache-2.0

/** What a supervisor still is to its terminal, when another one has taken its place. */
import { systemClock } from "../../lib/clock.ts";
import { currentStatus, requestDown } from "../current.ts";
import type { DevBox } from "../devbox.ts";
import type { UpOptions } from "../options.ts";

const LOOK_MS = 100;
/** The successor may be replaced too, and then nobody answers for a while. */
const AWAY_MS = 130_000;

export interface Succeeded {
  readonly options: UpOptions;
  readonly box: DevBox;
  readonly background: boolean;
  /** Whether it was asked to end. */
  readonly stopping: () => boolean;
}

/** A terminal stays with whoever took it: it shows what it showed, and passes on that all is to end. */
export async function afterSuccession(
  { options, box, background, stopping }: Succeeded,
): Promise<void> {
  if (background && !stopping()) return;
  const over = Promise.withResolvers<void>();
  const { agent } = box.status;
  const view = background || agent === null ? null : box.followRoom(agent, over.promise);
  let asked = false;
  let lastHeard = systemClock.now();
  while (asked || systemClock.now() - lastHeard < AWAY_MS) {
    if (stopping() && !asked) asked = await requestDown(options).then(() => true, () => false);
    const status = await currentStatus(options).catch(() => null);
    if (status !== null) lastHeard = systemClock.now();
    else if (asked) break;
    await systemClock.sleep(LOOK_MS);
  }
  over.resolve();
  await view?.done;
  if (!background) console.log("stopped; `deno task up` resumes");
}
