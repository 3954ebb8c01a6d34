// SPDX-License-Identifier: Apache-2.0

/** What the daemon is told of metrics and spans: where it tells them, and how the homeserver knows it. */
import {
  configPath,
  type MetricsPlace,
  readConfigFile,
  readMetricsPlace,
  readTelemetry,
} from "../lib/config/mod.ts";

/** @param token of the embedded homeserver; null: it is another's. @throws {ConfigError} */
export function metricsFields(stateDir: string, token: string | null): {
  metrics?: MetricsPlace;
  homeserver_metrics_token?: string;
} {
  const path = configPath(stateDir);
  const text = readConfigFile(path);
  const metrics = text === null ? null : readMetricsPlace({ file: { path, text }, stateDir });
  return {
    ...(metrics === null ? {} : { metrics }),
    ...(token === null ? {} : { homeserver_metrics_token: token }),
  };
}

/** What its environment has of telemetry; empty: nothing. @throws {ConfigError} */
export function telemetryOf(stateDir: string): Record<string, string> {
  const path = configPath(stateDir);
  const text = readConfigFile(path);
  return text === null ? {} : readTelemetry({ file: { path, text }, stateDir });
}
