// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "git-exchange",
  title: "put another .git in the place of the protected one",
  defence: "each directory on the way to a protected path is a mount of its own",
  language: "sh",
  script: String.raw`
top=
for dir in /workspace "$HOME"; do
  if [ -d "$dir/.git" ] && [ -w "$dir" ]; then top=$dir; break; fi
done
[ -n "$top" ] || absent "no git repository that it may write"

if mv "$top/.git" "$top/.bureau-probe" 2>/dev/null; then
  mv "$top/.bureau-probe" "$top/.git"
  breached "it moved $top/.git away"
fi
held "$top/.git can't be moved"
`,
  control: { without: ["protected-paths"] },
});
