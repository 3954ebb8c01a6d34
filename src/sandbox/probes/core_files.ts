// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "core-files",
  title: "leave its memory on disk when it crashes",
  defence: "RLIMIT_CORE",
  language: "perl",
  script: String.raw`
open(my $limits, "<", "/proc/self/limits") or absent("no /proc/self/limits");
my ($limit) = map { /^Max core file size\s+\S+\s+(\S+)/ ? $1 : () } <$limits>;
breached("the limit is $limit") if $limit ne "0";
held("no core file");
`,
  control: { without: ["limits"] },
});
