// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "root-inside",
  title: "be uid 0",
  defence: "--uid 1000, and nothing else is mapped",
  language: "perl",
  script: String.raw`
breached("it runs as uid $<") if $< == 0 || $> == 0;
POSIX::setuid(0);
breached("setuid(0) worked") if $< == 0 || $> == 0;
held("uid $<, setuid(0): $!");
`,
  control: { without: ["not-root"] },
});
