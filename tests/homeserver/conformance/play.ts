// SPDX-License-Identifier: Apache-2.0

/** Plays every scenario on a homeserver, as steps of a test. */
import { skip } from "../../e2e/harness.ts";
import type { TestHomeserver } from "../provider.ts";
import { TOPICS } from "./topics.ts";
import { Lacking, World } from "./world.ts";

export async function playAll(t: Deno.TestContext, homeserver: TestHomeserver): Promise<void> {
  for (const [topic, scenarios] of Object.entries(TOPICS)) {
    await t.step(topic, async (t) => {
      for (const scenario of scenarios) {
        await t.step(scenario.name, async (t) => {
          try {
            await scenario.run(new World(homeserver));
          } catch (thrown) {
            if (!(thrown instanceof Lacking)) throw thrown;
            await skip(t, thrown.message);
          }
        });
      }
    });
  }
}
