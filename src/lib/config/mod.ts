// SPDX-License-Identifier: Apache-2.0

/**
 * A machine's configuration: one YAML file, `<state>/operator/bureau.yaml`, the environment over it, flags over
 * both. Nothing in it is secret; secrets are in files that it names.
 */
export * from "./document.ts";
export * from "./errors.ts";
export * from "./file.ts";
export * from "./machine.ts";
export { MetricsConfig, type MetricsPlace } from "./metrics.ts";
export * from "./notify.ts";
export * from "./notify_target.ts";
export * from "./notify_targets.ts";
export * from "./peer.ts";
export * from "./secret_file.ts";
export { TelemetryConfig } from "./telemetry.ts";
