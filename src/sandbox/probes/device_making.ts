// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "device-making",
  title: "make a device node (mknod)",
  defence: "no capability in the host's namespace; tmpfs is nodev",
  language: "perl",
  script: String.raw`
my ($dir) = grep { -d $_ && -w $_ } "/tmp", "/dev/shm";
absent("no scratch directory") unless defined $dir;
my $path = "$dir/bureau-probe-node-$$";
# /dev/null once more: 1, 3.
my ($result, $errno) = kernel("mknodat", -100, $path, 0020600, (1 << 8) | 3);
if ($errno == 0) { unlink $path; breached("a device node was made") }
held("mknod: $!");
`,
  control: { without: "all", needs: "root" },
});
