# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `doctor`: a launcher tries what a sandbox needs, files say the rest, the CLI judges all of it and
# asks processes and homeserver. Only this shell mends files, and only what is listed in `mend`.

. "$BUREAU_ROOT/tasks/cell.sh"
. "$BUREAU_ROOT/tasks/installed.sh"

# It is about the Bureau of this state directory, whoever else is logged in: with its operator's session.
# shellcheck disable=SC2034 # for exec_role
SESSION=''
# shellcheck disable=SC2034 # for exec_role
HOMESERVER=$(cat "$STATE/operator/homeserver" 2>/dev/null) || HOMESERVER=''

FIX=''
DRY=''
YES=''
for argument in "$@"; do
  case "$argument" in
    --fix) FIX=yes ;;
    --dry-run) DRY=yes ;;
    --yes) YES=--yes ;;
    --help | -h) exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" ;;
  esac
done

# Prints the launcher's report, one line; else the first line of what it said.
try_launcher() {
  groups=''
  if [ -n "$CGROUPS" ]; then
    groups=$(printf '%s\n' "${CGROUPS#*:}" | tr , '\n' | awk -F = '{ printf "%s\"%s\":\"%s\"", (NR > 1 ? "," : ""), $1, $2 }')
    groups=",\"cgroups\":{\"version\":${CGROUPS%%:*},\"dirs\":{$groups}}"
  fi
  said=$( (
    prepare_launcher
    exec_role launcher
  ) 2>&1 <<END
{"version":1,"mode":"preflight","run_dir":"$RUN","state_dir":"$STATE","runtime_dir":"$DIST/runtime","policy_path":"$STATE/operator/policy.json","machine":"@bureau/fleet/dev/machine/doctor:bureau.local","server_name":"bureau.local"$groups}
END
  ) || true
  printf '%s\n' "$said" | grep '^{"findings":' | tail -n 1 | grep . || printf '%s\n' "$said" | head -n 1
}

# The report, then the facts. Control groups are made in a scratch place: a Bureau that runs here keeps its own.
examine() {
  (
    real=$RUN
    RUN=$(mktemp -d "${TMPDIR:-/tmp}/bureau-doctor.XXXXXX")
    scratch=$RUN
    trap 'rm -rf "$scratch"' EXIT
    make_cgroups
    RUN=$real
    try_launcher
    RUN=$scratch
    remove_cgroups
  )
  sh "$BUREAU_ROOT/tasks/facts.sh"
  installed
}

show() {
  printf '%s\n' "$REPORT" | (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@")
}

# $1: which, then its arguments. Each looks again before it acts, changes nothing but what it names, and can be undone; those of
# the kernel are gone with the next boot.
mend() {
  case "$1" in
    userns-clone) sysctl -q -w kernel.unprivileged_userns_clone=1 ;;
    max-userns) sysctl -q -w user.max_user_namespaces=15000 ;;
    apparmor-profile)
      install -m 0644 "$BUREAU_ROOT/deploy/apparmor/bureau-bwrap" /etc/apparmor.d/bureau-bwrap &&
        apparmor_parser -r /etc/apparmor.d/bureau-bwrap
      ;;
    mode) ours "$3" && as_owner "$3" chmod "$2" "$3" ;;
    owner) ours "$3" && [ -d "$3" ] && chown -h "$2" "$3" ;;
    stale-socket) ours "$2" && [ "$(socket_state "$2")" = refused ] && as_owner "$2" rm -f "$2" ;;
    cgroups) mend_cgroups ;;
    *) return 1 ;;
  esac
}

# Beneath the directories of this Bureau or its settings, and no link to elsewhere.
ours() {
  case "$1" in
    *..*) return 1 ;;
    "$STATE" | "$STATE"/* | "$RUN" | "$RUN"/* | /etc/bureau/*) ;;
    *) return 1 ;;
  esac
  [ -e "$1" ] && [ ! -L "$1" ]
}

# In a directory of a process's own that process could put a link in the place of $1: root does it as that user.
as_owner() {
  owner=$(stat -c %u -- "$(dirname -- "$1")")
  shift
  if [ "$(id -u)" -ne 0 ] || [ "$owner" -eq 0 ]; then
    "$@"
  else
    /usr/bin/setpriv --reuid="$owner" --clear-groups -- "$@"
  fi
}

# Only what no process is in.
mend_cgroups() {
  [ ! -S "$RUN/up/up.sock" ] || [ "$(socket_state "$RUN/up/up.sock")" != listening ] || return 1
  lock_cgroups || return 1
  CGROUPS=$(cat "$RUN/cgroups")
  remove_cgroup_dirs_once
  exec 8>&-
}

# Mends what the CLI says that may be mended here, and prints how that went.
mend_all() {
  # shellcheck disable=SC2086
  show doctor --report --fixes $YES | while IFS='	' read -r id name what one two; do
    if mend "$id" "$one" "$two" >&2; then outcome='done'; else outcome=failed; fi
    printf '%s %s\t%s\n' "$outcome" "$name" "$what"
  done
}

REPORT=$(examine)
if [ -n "$FIX" ] && [ -z "$DRY" ]; then
  mended=$(mend_all)
  if [ -n "$mended" ]; then
    REPORT=$(
      examine
      section mended
      printf '%s\n' "$mended" | indent
    )
  fi
fi
status=0
show "$@" --report || status=$?
exit "$status"
