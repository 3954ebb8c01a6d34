# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `doctor`: a launcher tries what a sandbox needs, the kernel's files say the rest, the CLI
# judges and shows both. Only this shell mends anything, and only what is listed in `mend`.

LAUNCHER_UID=64702
LAUNCHER_GID=64700
FIX=''
for argument in "$@"; do
  case "$argument" in
    --fix) FIX=yes ;;
    --help | -h) exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" ;;
  esac
done

as_launcher() {
  if [ "$(id -u)" -eq 0 ]; then
    /usr/bin/setpriv --reuid=$LAUNCHER_UID --regid=$LAUNCHER_GID --clear-groups --no-new-privs -- "$@"
  else
    "$@"
  fi
}

# $1 is Deno, $2 the launcher.
launcher_can_read() {
  # shellcheck disable=SC2016
  as_launcher /bin/sh -c 'test -x "$1" && test -r "$2"' sh "$1" "$2"
}

# Below a checkout that only root can read, the copies that `up` installed serve.
find_launcher() {
  if launcher_can_read "$DENO" "$DIST/runtime/launcher.js"; then return 0; fi
  launcher_can_read "$STATE/runtime/deno" "$STATE/runtime/launcher.js" || return 1
  DENO=$STATE/runtime/deno
  DIST=$STATE
}

# Prints the launcher's report, one line. It says itself why it could not start.
try_launcher() {
  find_launcher || {
    # shellcheck disable=SC2016
    echo 'the user of the launcher cannot read Deno and the runtime: run `deno task up` once'
    return 0
  }
  groups=''
  if [ -n "$CGROUPS" ]; then
    groups=$(printf '%s\n' "${CGROUPS#*:}" | tr , '\n' | awk -F = '{ printf "%s\"%s\":\"%s\"", (NR > 1 ? "," : ""), $1, $2 }')
    groups=",\"cgroups\":{\"version\":${CGROUPS%%:*},\"dirs\":{$groups}}"
  fi
  PRIVILEGE='/usr/bin/env -i PATH=/usr/bin:/bin HOME=/nonexistent DENO_DIR=/dev/null/none'
  if [ "$(id -u)" -eq 0 ]; then
    PRIVILEGE="/usr/bin/setpriv --reuid=$LAUNCHER_UID --regid=$LAUNCHER_GID --clear-groups --no-new-privs -- $PRIVILEGE"
  fi
  (exec_role launcher 2>&1) <<END | tail -n 1
{"version":1,"mode":"preflight","run_dir":"$RUN","state_dir":"$STATE","runtime_dir":"$DIST/runtime","policy_path":"$STATE/operator/policy.json","machine":"@bureau/fleet/dev/machine/doctor:bureau.local","server_name":"bureau.local"$groups}
END
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
}

show() {
  printf '%s\n' "$REPORT" | (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@")
}

# Each can be undone and changes nothing but what it names; all but the profile are gone with the next boot.
mend() {
  case "$1" in
    userns-clone) set -- sysctl -q -w kernel.unprivileged_userns_clone=1 ;;
    max-userns) set -- sysctl -q -w user.max_user_namespaces=15000 ;;
    apparmor-profile) set -- install_profile ;;
    *) return 0 ;;
  esac
  if [ "$(id -u)" -ne 0 ]; then
    printf 'needs root: %s\n' "$*" | sed 's|install_profile|sudo sh tasks/bureau doctor --fix|' >&2
  elif "$@"; then
    printf 'did: %s\n' "$*" | sed 's|install_profile|install deploy/apparmor/bureau-bwrap into /etc/apparmor.d and load it|' >&2
  else
    printf 'failed: %s\n' "$*" >&2
  fi
}

install_profile() {
  install -m 0644 "$BUREAU_ROOT/deploy/apparmor/bureau-bwrap" /etc/apparmor.d/bureau-bwrap &&
    apparmor_parser -r /etc/apparmor.d/bureau-bwrap
}

REPORT=$(examine)
if [ -n "$FIX" ]; then
  fixes=$(show doctor --report --fixes) || fixes=''
  for fix in $fixes; do mend "$fix"; done
  if [ -n "$fixes" ] && [ "$(id -u)" -eq 0 ]; then REPORT=$(examine); fi
fi
show "$@" --report || exit
case "$(show doctor --json --report)" in
  *'"severity":"error"'*) exit 1 ;;
esac
exit 0
