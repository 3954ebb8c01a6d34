#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# boot.sh DIR: in mount, pid, network, uts, ipc and cgroup namespaces of its own, becomes systemd over a copy-on-write view of
# this machine's root. What is written there goes to memory and ends with the namespaces. DIR is a new directory of root's.
set -eu
dir=$1
root=$dir/root
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$dir"
mkdir "$root" "$dir/upper" "$dir/work"
mount -t overlay -o "redirect_dir=on,lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t sysfs -o ro sysfs "$root/sys"
# The same hierarchies as outside; of each only what is below the group that this process was put into.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for place in /sys/fs/cgroup/*/; do
    place=${place%/}
    name=${place##*/}
    [ -e "$place/cgroup.procs" ] && [ ! -L "$place" ] || continue
    mkdir "$root/sys/fs/cgroup/$name"
    case "$name" in
      unified) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/$name" ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/$name" ;;
      *) mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name" ;;
    esac
  done
fi
# Nothing of this machine's own starts, and nothing of an installation of Bureau's is taken for ours.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/lib/systemd/system/*.wants "$root/var/lib/bureau" "$root/usr/lib/bureau" "$root/etc/bureau"
printf '[Unit]\nDescription=A bed for units\nDefaultDependencies=no\n' >"$root/etc/systemd/system/bed.target"
# Not chroot: the kernel gives no user namespace to a process in one.
cd "$root"
pivot_root . .
umount -l .
cd /
# As systemd finds it, or makes it, on a machine: what it mounts for a unit comes through.
mount --make-rshared /
exec env -i container=bureau-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=bed.target --log-target=console --log-level=notice --show-status=no
