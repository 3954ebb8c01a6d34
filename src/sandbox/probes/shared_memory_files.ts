// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "shared-memory-files",
  title: "reach POSIX shared memory of the host",
  defence: "a /dev/shm of its own",
  language: "sh",
  script: String.raw`
found=$(find /dev/shm -mindepth 1 ! -name 'probe-*' ! -name 'bureau-*' 2>/dev/null | head -n 1)
[ -z "$found" ] || breached "$found is there"
held "it is empty"
`,
  control: { without: ["own-shm"] },
});
