// SPDX-License-Identifier: Apache-2.0

/** Plays every scenario on the homeserver that `BUREAU_TEST_HOMESERVER` chooses. */
import { openHomeserver } from "../provider.ts";
import { TOPICS } from "./topics.ts";
import { Lacking, World } from "./world.ts";

Deno.test("the Client-Server API holds, topic by topic", async (t) => {
  const homeserver = await openHomeserver();
  if ("reason" in homeserver) return console.log(`skipped: ${homeserver.reason}`);
  await using _ = homeserver;
  for (const [topic, scenarios] of Object.entries(TOPICS)) {
    await t.step(topic, async (t) => {
      for (const scenario of scenarios) {
        await t.step(scenario.name, async () => {
          try {
            await scenario.run(new World(homeserver));
          } catch (thrown) {
            if (!(thrown instanceof Lacking)) throw thrown;
            console.log(`skipped: ${topic}: ${scenario.name}: ${thrown.message}`);
          }
        });
      }
    });
  }
});
