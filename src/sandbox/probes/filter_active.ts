// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "filter-active",
  title: "run without a system call filter",
  defence: "seccomp",
  language: "perl",
  script: String.raw`
held("a filter is on") if is_filtered();
breached("no filter is on");
`,
  control: { without: ["seccomp"] },
});
