// SPDX-License-Identifier: Apache-2.0

/** Plays every scenario on a homeserver and keeps what was sent and answered, made comparable. */
import { TOPICS } from "../conformance/topics.ts";
import { type Exchange, Lacking, World } from "../conformance/world.ts";
import type { TestHomeserver } from "../provider.ts";
import { Names, normalise } from "./normalise.ts";

export interface Recording {
  /** By `topic: scenario`. */
  readonly exchanges: ReadonlyMap<string, readonly Exchange[]>;
  /** Scenarios for which the homeserver has no endpoint, with what is missing. */
  readonly lacking: ReadonlyMap<string, string>;
  /** What scenarios threw that the homeserver does not satisfy. */
  readonly failed: readonly string[];
}

export async function record(homeserver: TestHomeserver): Promise<Recording> {
  const exchanges = new Map<string, readonly Exchange[]>();
  const lacking = new Map<string, string>();
  const failed: string[] = [];
  for (const [topic, scenarios] of Object.entries(TOPICS)) {
    for (const scenario of scenarios) {
      const name = `${topic}: ${scenario.name}`;
      const world = new World(homeserver);
      try {
        await scenario.run(world);
      } catch (thrown) {
        if (thrown instanceof Lacking) lacking.set(name, thrown.message);
        else failed.push(`${homeserver.kind}: ${name}: ${thrown}`);
      }
      const names = new Names(world.names, homeserver.serverName);
      exchanges.set(name, world.exchanges.map((exchange) => normalise(exchange, names)));
    }
  }
  return { exchanges, lacking, failed };
}
