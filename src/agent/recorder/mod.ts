// SPDX-License-Identifier: Apache-2.0

/** What agents tell the agent service. docs/guide/sessions.md */
export { type About, Recorder } from "./recorder.ts";
export { TurnRecorder } from "./turns.ts";
