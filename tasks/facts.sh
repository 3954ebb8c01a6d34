#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what the kernel says of this machine, for `bureau doctor` to judge: `== path`, then the file's lines with a blank
# before each. Reads only; a file that is not there is left out.
set -u

show() {
  { [ -f "$1" ] && [ -r "$1" ]; } || return 0
  printf '== %s\n' "$1"
  head -c 262144 "$1" 2>/dev/null | tr -d '\000' | sed 's/^/ /; $a\'
}

printf '== uname -m\n %s\n== uname -r\n %s\n' "$(uname -m)" "$(uname -r)"
printf '== id -u\n %s\n' "$(id -u)"
if [ -e /usr/bin/bwrap ]; then
  printf '== bwrap mode\n %s\n' "$(stat -c %a /usr/bin/bwrap)"
fi
for file in /proc/cpuinfo /proc/meminfo /proc/self/cgroup /proc/self/mountinfo /proc/cmdline /etc/os-release \
  /proc/sys/kernel/unprivileged_userns_clone /proc/sys/user/max_user_namespaces \
  /proc/sys/kernel/apparmor_restrict_unprivileged_userns /sys/module/apparmor/parameters/enabled \
  /proc/sys/kernel/seccomp/actions_avail /proc/sys/kernel/yama/ptrace_scope /proc/sys/kernel/pid_max \
  /proc/sys/fs/inotify/max_user_instances /proc/sys/kernel/random/entropy_avail /proc/swaps /sys/fs/cgroup/cgroup.controllers \
  /etc/apparmor.d/bureau-bwrap /etc/apparmor.d/bwrap-userns-restrict \
  /sys/devices/virtual/dmi/id/sys_vendor /sys/devices/virtual/dmi/id/board_vendor \
  /sys/devices/virtual/dmi/id/board_name /sys/devices/virtual/dmi/id/product_name \
  /sys/devices/virtual/dmi/id/bios_version /proc/device-tree/model \
  /sys/devices/system/cpu/cpu0/cache/index3/size \
  /sys/devices/system/cpu/cpu[0-9]*/topology/core_id /sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id \
  /sys/devices/system/node/node[0-9]*/cpulist /sys/devices/system/node/node[0-9]*/meminfo \
  /sys/class/drm/card[0-9]*/device/vendor /sys/class/drm/card[0-9]*/device/device \
  /sys/class/drm/card[0-9]*/device/uevent \
  /sys/class/drm/card[0-9]*/device/mem_info_vram_total /proc/driver/nvidia/gpus/*/information; do
  show "$file"
done
