# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/doctor.sh: prints how Bureau lies on this machine, in the form of tasks/facts.sh. Reads only. Takes STATE, RUN,
# DIST and BUREAU_ROOT; what its caller may not read is left out.

section() { printf '== %s\n' "$1"; }

indent() { sed 's/^/ /'; }

# `systemd` where the units are installed and these are their directories.
layout() {
  for file in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    if [ "$STATE $RUN" = '/var/lib/bureau /run/bureau' ] && [ -e "$file/bureau-launcher.service" ]; then
      echo systemd
      return 0
    fi
  done
  if [ -d "$STATE/operator" ]; then echo box; else echo none; fi
}

# mode uid gid type|path
files() {
  for path in "$STATE" "$RUN" "$STATE"/* "$RUN"/* "$STATE"/operator/* "$STATE"/operator/machines/* "$STATE"/launcher/machine-key* \
    "$STATE"/daemon/*.json "$STATE"/authority/* "$STATE"/homeserver/*.db* "$RUN"/up/up.sock "$RUN"/launcher/launcher.sock "$RUN"/daemon/daemon.sock \
    "$RUN"/web/web.sock /tmp /etc/bureau /etc/bureau/*; do
    stat -c '%a %u %g %F|%n' -- "$path" 2>/dev/null || true
  done
}

# Who accepts connections is asked: a socket's file stays behind where a process was killed. Perl belongs to Debian's base system.
socket_state() {
  perl -MSocket -MErrno=ECONNREFUSED,EACCES,EAGAIN -e '
    socket(my $s, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0) or exit 1;
    print connect($s, pack_sockaddr_un($ARGV[0])) || $! == EAGAIN ? "listening" : $! == ECONNREFUSED ? "refused" : $! == EACCES ? "denied" : "unknown"' "$1" 2>/dev/null || echo unknown
}

sockets() {
  for path in "$RUN"/up/up.sock "$RUN"/launcher/launcher.sock "$RUN"/daemon/daemon.sock "$RUN"/web/web.sock; do
    [ ! -S "$path" ] || printf '%s %s\n' "$(socket_state "$path")" "$path"
  done
}

# path blocks-of-1024 free inodes free
disks() {
  for path in "$STATE" "$RUN"; do
    while [ ! -d "$path" ]; do path=$(dirname -- "$path"); done
    blocks=$(df -Pk -- "$path" 2>/dev/null | awk 'END { print $2, $4 }')
    inodes=$(df -Pi -- "$path" 2>/dev/null | awk 'END { print $2, $4 }')
    printf '%s %s %s\n' "$blocks" "$inodes" "$path"
  done
}

# soft hard
open_files() {
  limits=$(prlimit --nofile --noheadings --output SOFT,HARD 2>/dev/null | tr -s ' ') || return 0
  printf 'nofile %s\n' "$limits"
}

# What `up` installed, beside the build of this checkout.
runtime() {
  [ -d "$STATE/runtime" ] || return 0
  for file in "$DIST"/runtime/*; do
    [ -f "$file" ] || continue
    name=${file##*/}
    if [ ! -e "$STATE/runtime/$name" ]; then
      printf 'missing %s\n' "$name"
    elif cmp -s "$file" "$STATE/runtime/$name"; then
      printf 'same %s\n' "$name"
    else
      printf 'differs %s\n' "$name"
    fi
  done
  if [ -x "$STATE/runtime/deno" ]; then echo same deno; else echo missing deno; fi
}

# unit enabled active condition release: whether its condition held when it was started, and whether what runs is of the release in use.
units() {
  deno=$(readlink -e /usr/lib/bureau/runtime)/deno || deno=''
  for unit in bureau-homeserver.service bureau-launcher.service bureau-daemon.service bureau-web.service bureau-homeserver-backup.timer; do
    enabled=$(systemctl is-enabled "$unit" 2>/dev/null) || enabled=${enabled:-unknown}
    active=$(systemctl is-active "$unit" 2>/dev/null) || active=${active:-unknown}
    condition=$(systemctl show --property=ConditionResult --value "$unit" 2>/dev/null) || condition=''
    pid=$(systemctl show --property=MainPID --value "$unit" 2>/dev/null) || pid=0
    exe=$(readlink "/proc/${pid:-0}/exe" 2>/dev/null) || exe=''
    of=unknown
    if [ -n "$exe" ] && [ -n "$deno" ]; then
      if [ "$exe" = "$deno" ]; then of=current; else of=other; fi
    fi
    printf '%s %s %s %s %s\n' "${unit%.service}" "$enabled" "$active" "${condition:-unknown}" "$of"
  done
}

# name state: the release in use, and whether its files are those that it came with.
release() {
  place=$(readlink -e /usr/lib/bureau/runtime) || return 0
  place=${place%/dist/runtime}
  [ -r "$place/SHA256SUMS" ] || return 0
  if (cd "$place" && timeout 20 sha256sum --quiet --strict --check SHA256SUMS) >/dev/null 2>&1; then state=whole; else state=spoilt; fi
  printf '%s %s\n' "${place##*/}" "$state"
}

# kilobytes path
sizes() {
  for path in "$STATE/recordings" "$STATE/logs"; do
    size=$(timeout 4 du -skx -- "$path" 2>/dev/null) || continue
    printf '%s %s\n' "${size%%[!0-9]*}" "$path"
  done
}

# Seconds since the epoch, of the database's making and of the newest backup.
backups() {
  [ -r "$STATE/homeserver" ] || return 0
  made=$(stat -c %W -- "$STATE/homeserver/homeserver.db" 2>/dev/null) || return 0
  newest=$(find "$STATE/homeserver/backups" -mindepth 1 -maxdepth 1 ! -name '*.part' -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
  printf '%s %s\n' "$made" "${newest%%.*}"
}

# How many processes are in the control groups that `up` made.
left_processes() {
  # shellcheck disable=SC2034 # cgroup_dirs reads it
  CGROUPS=$(cat "$RUN/cgroups")
  for dir in $(cgroup_dirs); do cat "$dir"/*/cgroup.procs "$dir"/cgroup.procs 2>/dev/null || true; done | sort -u | wc -l
}

installed() {
  section layout && layout | indent
  section files && files | indent
  section sockets && sockets | indent
  section disks && disks | indent
  section limits && open_files | indent
  section git && (git --version 2>/dev/null || true) | indent
  section runtime && runtime | indent
  section sizes && sizes | indent
  section backups && backups | indent
  if [ -r "$STATE/launcher/machine-key.pub" ]; then
    section machine-key && head -c 4096 "$STATE/launcher/machine-key.pub" | indent && echo
  fi
  # Made by `up`, and taken away when it ends: what is there without it was left behind.
  if [ -r "$RUN/cgroups" ]; then section cgroups && left_processes | indent; fi
  if [ "$(layout)" = systemd ]; then
    section users && (getent passwd bureau-homeserver bureau-launcher bureau-daemon bureau-web || true) | indent
    section release && release | indent
    section group && (getent group bureau || true) | indent
    if [ -d /run/systemd/system ]; then section units && units | indent; fi
  fi
}
