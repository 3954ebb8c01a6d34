#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# package.sh ROOT DENO CACHE SYSTEM: in a mount namespace whose /nix is empty, has Nix build deploy/nix/package.nix from the checkout
# ROOT, then calls its `bureau`, where nothing of the package has been below /usr before.
set -eu
mount -t tmpfs -o mode=755 tmpfs /nix
host=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-host
mkdir -p "$host"
mount --bind /usr "$host"
out=$(unshare --net nix-build --no-out-link "$1/tests/slow/environment/package.nix" \
  --arg root "$1" --argstr deno "$2" --argstr cache "$3" --argstr system "$4" --argstr host "$host")
echo "units: $(cd "$out/lib/systemd/system" && echo *.service)"
grep -h ^ExecStart= "$out"/lib/systemd/system/*.service
"$out/bin/bureau" version
# Not only root's: an ordinary user has no mount to make.
for user in 0 12345; do
  # shellcheck disable=SC2016
  HOME=/tmp setpriv --reuid="$user" --regid="$user" --clear-groups \
    "$out/bin/bureau" sandbox run --state-dir "/tmp/b-nix-$user/s" --run-dir "/tmp/b-nix-$user/r" -- \
    sh -c 'echo "made for '"$user"': $(readlink /usr/bin)"'
done
