// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "git-config",
  title: "change git's configuration",
  defence: "protected paths are read-only where the workspace is writable",
  language: "sh",
  script: String.raw`
top=
for dir in /workspace "$HOME"; do
  if [ -d "$dir/.git" ] && [ -w "$dir" ]; then top=$dir; break; fi
done
[ -n "$top" ] || absent "no git repository that it may write"

[ -f "$top/.git/config" ] || absent "no configuration"
# Opened for appending, and nothing appended.
if (: >>"$top/.git/config") 2>/dev/null; then breached "the configuration opens for writing"; fi
held "$top/.git/config does not open for writing"
`,
  control: { without: ["protected-paths"] },
});
