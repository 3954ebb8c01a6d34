# SPDX-License-Identifier: Apache-2.0
# Sourced by install, uninstall and setup: where things lie, and what is known of an installation. ROOT is empty for this machine.

LIB=/usr/lib/bureau
RELEASES=$LIB/releases
MANIFEST=$LIB/manifest
STATE=/var/lib/bureau
RUN=/run/bureau
# In the order in which they are started; a homeserver that is not there is passed over by its condition.
UNITS='bureau-homeserver.service bureau-launcher.service bureau-daemon.service bureau-web.service bureau-homeserver-backup.timer'
USERS='bureau-launcher bureau-daemon bureau-web bureau-homeserver'

die() {
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

say() {
  printf '%s\n' "$*"
}

# Does $1, a function with its arguments, unless --dry-run.
really() {
  [ -n "$DRY" ] || "$@"
}

# Sets ROOT from an argument of --root, without a slash at its end.
use_root() {
  case "$1" in
    /*) ;;
    *) die "Cannot use \"$1\" as a root: not an absolute path" ;;
  esac
  [ -d "$1" ] || die "Cannot use \"$1\" as a root: no such directory" "make it first"
  ROOT=$(cd "$1" && pwd -P)
  ROOT=${ROOT%/}
}

# Is it this machine's own root, whose users and units are changed?
live() {
  [ -z "$ROOT" ]
}

need_root() {
  if live && [ "$(id -u)" -ne 0 ]; then
    die "Cannot $1 as user $(id -u): it changes the whole machine" "run it with sudo; --dry-run shows what it would do, and --root DIR puts it elsewhere"
  fi
}

hash_of() {
  [ ! -f "$1" ] || sha256sum <"$1" | cut -d ' ' -f 1
}

# What the manifest says of the path $1: kind, mode and hash (or where a link leads).
recorded() {
  [ ! -r "$ROOT$MANIFEST" ] || awk -v path="$1" '$4 == path { print $1, $2, $3; exit }' "$ROOT$MANIFEST"
}

# Pids of agents and what belongs to them: all in the launcher's control group but the launcher.
agents() {
  live && [ -d /sys/fs/cgroup ] && command -v systemctl >/dev/null || return 0
  main=$(systemctl show --property=MainPID --value bureau-launcher.service 2>/dev/null) || main=0
  find /sys/fs/cgroup -path '*/bureau-launcher.service*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un | grep -vx -e "${main:-0}" || true
}
