// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "descriptor-flood",
  title: "open files without end",
  defence: "RLIMIT_NOFILE",
  language: "perl",
  script: String.raw`
open(my $limits, "<", "/proc/self/limits") or absent("no /proc/self/limits");
my ($limit) = map { /^Max open files\s+\S+\s+(\S+)/ ? $1 : () } <$limits>;
breached("the limit is $limit") if $limit eq "unlimited" || $limit > 8192;
held("at most $limit");
`,
  control: { without: ["limits"] },
});
