// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "shared-memory-objects",
  title: "reach System V shared memory of the host",
  defence: "an ipc namespace of its own",
  language: "sh",
  script: String.raw`
for kind in shm sem msg; do
  [ -r "/proc/sysvipc/$kind" ] || continue
  [ "$(wc -l <"/proc/sysvipc/$kind")" -le 1 ] || breached "/proc/sysvipc/$kind lists an object"
done
held "there is no object"
`,
  control: { without: ["own-ipc"] },
});
