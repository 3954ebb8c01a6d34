// SPDX-License-Identifier: Apache-2.0

/** Who comes to the daemon otherwise than by its socket: browsers, other machines of the fleet, who scrapes metrics. */
import { MetricsDoor } from "./metrics/door.ts";
import { type PeerDirectory, Peers } from "./peer/peers.ts";
import { Web, type WebOptions } from "./web/web.ts";

export const waysIn = (options: WebOptions, directory: PeerDirectory) => ({
  web: new Web(options),
  metricsDoor: new MetricsDoor(options),
  peers: new Peers({ ...options, directory }),
});
