// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "setuid-program",
  title: "become root by a setuid program",
  defence: "no_new_privs, an unmapped owner, nosuid mounts",
  language: "sh",
  script: String.raw`
found=
for program in /usr/bin/su /usr/bin/mount /usr/bin/passwd /usr/bin/newgrp; do
  if [ -u "$program" ]; then found=$program; break; fi
done
[ -n "$found" ] || absent "no setuid program here"
[ "$(id -u)" != 0 ] || absent "it is root already"
# The loader shows its auxiliary vector, but never for a program that gained privileges.
case $(LD_SHOW_AUXV=1 "$found" --version 2>/dev/null </dev/null) in
  *AT_EUID*) held "$found runs as its caller" ;;
  *) breached "$found runs with privileges" ;;
esac
`,
  control: { without: "all" },
});
