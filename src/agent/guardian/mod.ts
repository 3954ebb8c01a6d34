// SPDX-License-Identifier: Apache-2.0

/** An agent that reviews and changes nothing: the sandbox it stands in, the commands it may run, what it says in the end. */
export { type Classified, classify } from "./classify.ts";
export {
  guardianEnvironment,
  type GuardianPlace,
  type GuardianSandbox,
  guardianSandbox,
  isReadOnly,
  SCRATCH,
  walled,
} from "./ring.ts";
export { MAX_FINDINGS, parseVerdict, type Verdict } from "./verdict.ts";
