// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "perf",
  title: "watch the machine's counters (perf_event_open)",
  defence: "seccomp refuses the call before the kernel looks at it",
  language: "perl",
  script: String.raw`
my @said;
push @said, refused("perf_event_open", 0, 0, -1, -1, 0);
held(join ", ", @said);
`,
  control: { without: ["seccomp"] },
});
