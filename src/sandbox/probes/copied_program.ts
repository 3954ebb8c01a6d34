// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "copied-program",
  title: "get round a refusal by a copy of a program",
  defence: "no rule goes by a program's path: the kernel's rules are the process's",
  language: "sh",
  script: String.raw`
program=$(command -v unshare) || absent "no unshare in the sandbox"
scratch=
for dir in /tmp /dev/shm; do
  if [ -d "$dir" ] && [ -w "$dir" ]; then scratch=$dir/bureau-probe-$$; break; fi
done
[ -n "$scratch" ] || absent "no scratch directory"
cp "$program" "$scratch" && chmod u+x "$scratch" || absent "cannot copy"
if "$scratch" --user true 2>/dev/null; then rm -f "$scratch"; breached "a copy of unshare works"; fi
rm -f "$scratch"
held "the copy is refused too"
`,
  control: { without: ["no-nesting", "seccomp"] },
});
