#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run as `unshare --mount --pid --fork --kill-child sh enter.sh ROOT` by root: makes the directory ROOT this process's whole
# machine and stays as its init. pivot_root, not chroot: the kernel gives no user namespace to a process in a chroot.
set -eu
cd "$1"

mount --make-rprivate /
mount --bind "$PWD" "$PWD"
cd "$PWD"
# A fresh /proc of the new pid namespace, nothing mounted over it: a nested user namespace may mount one only then.
mount -t proc proc proc
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in null zero full random urandom tty; do
  : >"dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mount -t tmpfs -o mode=755 run run
# With a size, as systemd gives it.
mount -t tmpfs -o mode=1777,size=50% tmp tmp
pivot_root . .
umount -l .
cd /
: >/run/machine-is-up
# An init: whatever loses its parent becomes its child, and waiting for the first reaps them all.
while true; do
  sleep 3600 &
  wait $!
done
