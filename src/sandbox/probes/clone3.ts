// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "clone3",
  title: "hide clone flags from the filter (clone3)",
  defence: "seccomp answers ENOSYS, so that libc falls back to clone",
  language: "perl",
  script: String.raw`
held(refused("clone3", 0, 0));
`,
  control: { without: ["seccomp"] },
});
