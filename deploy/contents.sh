# SPDX-License-Identifier: Apache-2.0
# Sourced by install: what an installation consists of. HERE is the checkout or release that it comes from, NAME and PREVIOUS
# are releases.

# What a release holds of its source, relative to it.
release_files() {
  cd "$HERE" || return
  for dir in dist/runtime dist/cli dist/agents dist/bin deploy/systemd deploy/apparmor docs/guide agent/driver/programs; do
    [ ! -d "$dir" ] || find "$dir" -type f ! -path 'docs/guide/img/*'
  done
  for file in deploy/bureau deploy/install deploy/*.sh deploy/setup deploy/uninstall tasks/bureau tasks/up tasks/setup-nix tasks/*.sh tasks/grants.txt README.md LICENSE SECURITY.md CHANGELOG.md; do
    printf '%s\n' "$file"
  done
}

# Files outside of a release: source, destination, mode, and `c` for a configuration file.
outside() {
  for unit in $UNITS bureau-homeserver-backup.service; do
    echo "deploy/systemd/$unit /usr/lib/systemd/system/$unit 0644 f"
  done
  echo "deploy/systemd/bureau-daemon.service.d/settings.conf /usr/lib/systemd/system/bureau-daemon.service.d/settings.conf 0644 f"
  # Older ones know no subgroup, without which there is no leaf for the launcher to stand in.
  if [ "$(systemd_version)" -ge 254 ]; then
    echo "deploy/systemd/bureau-launcher.service.d/limits.conf /usr/lib/systemd/system/bureau-launcher.service.d/limits.conf 0644 f"
  fi
  echo "deploy/systemd/sysusers.conf /usr/lib/sysusers.d/bureau.conf 0644 f"
  echo "deploy/systemd/tmpfiles.conf /usr/lib/tmpfiles.d/bureau.conf 0644 f"
  echo "deploy/bureau /usr/bin/bureau 0755 f"
  echo "deploy/systemd/bureau.env /etc/bureau/bureau.env 0644 c"
}

# Links, and where they lead: all through the one that says which release is in use, which decides.
links() {
  for name in bureau-role bureau-seal-key; do echo "$LIB/$name runtime/../../deploy/systemd/$name"; done
  for name in setup uninstall; do echo "$LIB/$name runtime/../../deploy/$name"; done
  echo "/usr/share/doc/bureau ../../lib/bureau/runtime/../.."
  echo "$LIB/runtime releases/$NAME/dist/runtime"
  [ -z "$PREVIOUS" ] || echo "$LIB/previous releases/$PREVIOUS/dist/runtime"
}

systemd_version() {
  version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p') || version=''
  printf '%s\n' "${version:-0}"
}
