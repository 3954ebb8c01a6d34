// SPDX-License-Identifier: Apache-2.0

/** Plays every scenario on the homeserver that `BUREAU_TEST_HOMESERVER` chooses. */
import { withHomeserver } from "../provider.ts";
import { playAll } from "./play.ts";

Deno.test("the Client-Server API holds, topic by topic", async (t) => {
  await withHomeserver(t, (homeserver) => playAll(t, homeserver));
});
