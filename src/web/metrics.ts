// SPDX-License-Identifier: Apache-2.0
import { loadMetrics } from "../lib/metrics/load.ts";
import { LabelledCounter, ownMetrics, statusClass } from "../lib/metrics/mod.ts";

/** What the page's process tells of itself at `/metrics`; the daemon in front hands no browser that path. */
export function withMetrics(
  handler: (request: Request) => Response,
): (request: Request) => Promise<Response> {
  const requests = new LabelledCounter();
  return async (request) => {
    if (request.method === "GET" && new URL(request.url).pathname === "/metrics") {
      return ownMetrics(request, await loadMetrics(), {
        bureau_web_requests_total: requests.samples,
      });
    }
    const response = handler(request);
    requests.add({ status: statusClass(response.status) });
    return response;
  };
}
