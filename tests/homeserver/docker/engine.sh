#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run by root as `unshare --mount --net --pid --ipc --uts --fork --kill-child sh engine.sh PROGRAMS DIR CGROUP`: a Docker
# engine that sees no network but a loopback of its own, and whose mounts and processes end with this one.
set -eu
programs=$1
dir=$2
cgroup=$3

mount --make-rprivate /
mount -t proc proc /proc
PATH=$programs/usr/bin:$programs/usr/sbin:$PATH
LD_LIBRARY_PATH=$(find "$programs/lib" "$programs/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*' | paste -sd :)
export PATH LD_LIBRARY_PATH
printf '{}' >"$dir/engine.json"
exec dockerd --config-file="$dir/engine.json" --host="unix://$dir/engine.sock" --pidfile="$dir/engine.pid" \
  --data-root="$dir/data" --exec-root="$dir/exec" --cgroup-parent="/$cgroup" \
  --exec-opt=native.cgroupdriver=cgroupfs --bridge=none --iptables=false --ip6tables=false --ip-forward=false \
  --ip-masq=false --userland-proxy=false
