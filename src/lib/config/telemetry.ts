// SPDX-License-Identifier: Apache-2.0

/** `telemetry:` of a machine's file: the collector that the daemon's spans go to. */
import * as z from "zod/mini";

function isCollector(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ["http:", "https:"].includes(url.protocol) && url.username === "" &&
    url.password === "" && url.search === "" && url.hash === "";
}

export const TelemetryConfig = z.strictObject({
  endpoint: z.string("takes an http(s) URL").check(
    z.refine(isCollector, "takes an http(s) URL without a user name or a query"),
  ),
}, "takes `endpoint: URL`");

/** What Deno's OpenTelemetry is told by. Metrics go to Prometheus, and logs name what was said. */
export function telemetryEnvironment(
  { endpoint }: z.infer<typeof TelemetryConfig>,
): Record<string, string> {
  return {
    OTEL_DENO: "true",
    OTEL_DENO_METRICS: "false",
    OTEL_DENO_CONSOLE: "ignore",
    // A homeserver or push service has no business with what belongs together here, nor a browser a say in it.
    OTEL_PROPAGATORS: "none",
    OTEL_SERVICE_NAME: "bureau-daemon",
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  };
}
