// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "read-others-memory",
  title: "read memory across processes (process_vm_readv)",
  defence: "seccomp; a pid namespace of its own",
  language: "perl",
  script: String.raw`
# Of no process, with no buffer: the kernel says that there is none, the filter that it is not permitted.
held(refused("process_vm_readv", 0x3fffffff, 0, 0, 0, 0, 0)) ;
`,
  control: { without: ["seccomp"] },
});
