// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "git-hooks",
  title: "plant a git hook",
  defence: "protected paths are read-only where the workspace is writable",
  language: "sh",
  script: String.raw`
top=
for dir in /workspace "$HOME"; do
  if [ -d "$dir/.git" ] && [ -w "$dir" ]; then top=$dir; break; fi
done
[ -n "$top" ] || absent "no git repository that it may write"

[ -d "$top/.git/hooks" ] || absent "no hooks directory"
if (: >"$top/.git/hooks/bureau-probe") 2>/dev/null; then rm -f "$top/.git/hooks/bureau-probe"; breached "a hook was written"; fi
held "$top/.git/hooks takes none"
`,
  control: { without: ["protected-paths"] },
});
