// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "editor-configuration",
  title: "change what an editor or a shell of the operator runs",
  defence: "protected paths are read-only where the workspace is writable",
  language: "sh",
  script: String.raw`
found=0
for dir in /workspace "$HOME"; do
  [ -w "$dir" ] || continue
  for name in .envrc .vscode/tasks.json .vscode/settings.json .idea/workspace.xml; do
    [ -f "$dir/$name" ] || continue
    found=$((found + 1))
    if (: >>"$dir/$name") 2>/dev/null; then breached "$dir/$name opens for writing"; fi
  done
done
[ "$found" -gt 0 ] || absent "no such file in its workspace"
held "$found files, none opens for writing"
`,
  control: { without: ["protected-paths"] },
});
