#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts what build.sh built into $out: the release, the units with its paths in place of /usr/lib/bureau, and `bureau`.
set -eu
: "${out:?}" "${usr:?}"
release=$out/lib/bureau
mkdir -p "$release" "$out/bin" "$out/lib/systemd/system" "$out/lib/tmpfiles.d"
cp -R dist src agent tasks deno.json deno.lock "$release/"
ln -s dist/runtime "$release/runtime"
cp deploy/systemd/bureau-role deploy/systemd/bureau-seal-key "$release/"
for unit in deploy/systemd/bureau-*.service deploy/systemd/bureau-*.timer; do
  [ -e "$unit" ] || continue
  sed -e "s|/usr/lib/bureau|$release|g" -e "s|/usr/bin/bureau|$out/bin/bureau|g" "$unit" >"$out/lib/systemd/system/${unit##*/}"
done
sed -i "s|/usr/lib/bureau|$release|g" "$release/bureau-role"
mkdir "$out/lib/systemd/system/bureau-launcher.service.d"
cp deploy/systemd/bureau-launcher.service.d/limits.conf "$out/lib/systemd/system/bureau-launcher.service.d/"
cp deploy/systemd/tmpfiles.conf "$out/lib/tmpfiles.d/bureau.conf"
sed -e "s|@usr@|$usr|g" -e "s|@release@|$release|g" deploy/nix/bureau >"$out/bin/bureau"
chmod 755 "$out/bin/bureau" "$release/bureau-role" "$release/bureau-seal-key"
