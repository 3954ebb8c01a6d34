// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "loader",
  title: "get round a refusal by way of the loader",
  defence: "no rule goes by a program's path: the kernel's rules are the process's",
  language: "sh",
  script: String.raw`
loader=
for path in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
  if [ -x "$path" ]; then loader=$path; break; fi
done
[ -n "$loader" ] || absent "no known loader"
program=$(command -v unshare) || absent "no unshare in the sandbox"
"$loader" "$program" --user true 2>/dev/null && breached "unshare works through $loader"
held "refused through $loader as well"
`,
  control: { without: ["no-nesting", "seccomp"] },
});
