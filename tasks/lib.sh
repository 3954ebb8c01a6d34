# SPDX-License-Identifier: Apache-2.0
# Sourced by the tasks: finds Deno, decides the directories (the one place that knows the defaults), builds the
# runtime when sources changed, and turns tasks/grants.txt into permission flags for what a person starts.

set -eu

BUREAU_ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

# Variables that say what `bureau.yaml` may say too (src/lib/config/machine.ts).
SETTINGS='BUREAU_HOMESERVER BUREAU_REGISTRATION_TOKEN_FILE BUREAU_LISTEN BUREAU_AUTHORITY BUREAU_WEB BUREAU_WEB_ORIGIN BUREAU_AGENT BUREAU_REPO'

die() {
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# Deno keeps its packages under HOME, and an ordinary user's state is there. Cron and containers may leave it unset.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d : -f 6) || HOME=''
  [ -n "$HOME" ] || die "Cannot find your home directory: HOME is not set, and user $(id -u) has none" "set HOME to a directory of yours"
  export HOME
fi

# Every Deno that might do, best first, one a line.
deno_candidates() {
  printf '%s\n' "${BUREAU_DENO:-}" "$BUREAU_ROOT"/.deno/node_modules/@deno/*/deno
  printf '%s\n' "$PATH" | tr : '\n' | sed 's|$|/deno|'
}

# Sets DENO to the real executable (npm's `deno` is a Node wrapper, which a cell could not run), or says in
# DENO_FOUND what there is instead, and fails.
look_for_deno() {
  DENO_FOUND=''
  while IFS= read -r candidate; do
    if [ ! -f "$candidate" ] || [ ! -x "$candidate" ]; then continue; fi
    version=$("$candidate" eval -q 'console.log(Deno.version.deno, Deno.execPath())' 2>/dev/null </dev/null) || continue
    case "$version" in
      2.9.* | 2.[1-9][0-9].*)
        DENO=${version#* }
        return 0
        ;;
    esac
    DENO_FOUND="${DENO_FOUND:-; $candidate is ${version%% *}}"
  done <<END
$(deno_candidates)
END
  return 1
}

# What comes first, fit or not.
first_candidate() {
  for candidate in "${BUREAU_DENO:-}" "$BUREAU_ROOT"/.deno/node_modules/@deno/*/deno "$(command -v deno)"; do
    if [ -f "$candidate" ] && [ -x "$candidate" ]; then return 0; fi
  done
  return 1
}

# The Deno that the last build found, where it would find the same again: to ask one which it is takes as long as it
# takes to start.
known_deno() {
  [ -r "$BUREAU_ROOT/dist/deno" ] && first_candidate || return 1
  { IFS= read -r first && IFS= read -r DENO; } <"$BUREAU_ROOT/dist/deno" || return 1
  # shellcheck disable=SC3013 # of POSIX since 2024, and of every sh
  [ "$candidate" = "$first" ] && [ -x "$DENO" ] && [ "$BUREAU_ROOT/dist/deno" -nt "$first" ] && [ "$BUREAU_ROOT/dist/deno" -nt "$DENO" ]
}

find_deno() {
  known_deno || look_for_deno || die "Cannot find Deno 2.9 or newer$DENO_FOUND" "run \`sh tasks/bootstrap up\`, which installs it from npm into this folder"
}

# BUREAU_STATE_DIR and BUREAU_RUN_DIR, or --state-dir/--run-dir in "$@", or the XDG places, or root's.
find_dirs() {
  STATE=${BUREAU_STATE_DIR:-}
  RUN=${BUREAU_RUN_DIR:-}
  previous=''
  for argument in "$@"; do
    case "$previous" in
      --state-dir) STATE=$argument ;;
      --run-dir) RUN=$argument ;;
    esac
    case "$argument" in
      --state-dir=*) STATE=${argument#*=} ;;
      --run-dir=*) RUN=${argument#*=} ;;
      --) break ;;
    esac
    previous=$argument
  done
  uid=$(id -u)
  if [ "$uid" -eq 0 ]; then
    STATE=${STATE:-/var/lib/bureau}
    RUN=${RUN:-/run/bureau}
  else
    STATE=${STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/bureau}
    if [ -z "$RUN" ]; then
      if [ -n "${XDG_RUNTIME_DIR:-}" ]; then
        RUN=$XDG_RUNTIME_DIR/bureau
      else
        RUN=/tmp/bureau-$uid
        # /tmp is everybody's: a directory that somebody else made there is not ours to use.
        (umask 077 && mkdir "$RUN" 2>/dev/null) || true
        { [ ! -L "$RUN" ] && [ -d "$RUN" ] && [ -O "$RUN" ]; } || die "Cannot use \"$RUN\": it belongs to somebody else" "set XDG_RUNTIME_DIR, or give --run-dir"
      fi
    fi
  fi
  for dir in "$STATE" "$RUN"; do
    case "$dir" in
      /*) ;;
      *) die "Cannot use \"$dir\": not an absolute path" "give --state-dir and --run-dir as absolute paths" ;;
    esac
    case "$dir" in
      *,* | *'
'*) die "Cannot use \"$dir\": a path here must not hold a comma or a line break" "give --state-dir and --run-dir" ;;
    esac
  done
}

# Runs "$@", which may fetch packages: behind a proxy with a certificate authority of its own, the machine knows that one.
fetching() {
  DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system} "$@"
}

# Is $1 a build of this checkout, newer than every source of it?
is_current() {
  [ -r "$1/runtime/.stamp" ] || return 1
  # A release that deploy/install put there has no sources.
  [ -e "$BUREAU_ROOT/src" ] || return 0
  [ -z "$(find "$BUREAU_ROOT/src" "$BUREAU_ROOT/agent" "$BUREAU_ROOT/deno.json" "$BUREAU_ROOT/deno.lock" "$BUREAU_ROOT/tasks" -newer "$1/runtime/.stamp" -type f -print -quit)" ]
}

# DIST/runtime holds one bundle per process; rebuilt when a source is newer than its stamp. It is in the checkout, or,
# where that is somebody else's, in our own state directory, one for each checkout.
ensure_runtime() {
  DIST=$BUREAU_ROOT/dist
  is_current "$DIST" && return 0
  if [ ! -w "$BUREAU_ROOT" ] || { [ -e "$DIST" ] && { [ ! -w "$DIST" ] || [ ! -O "$DIST" ]; }; }; then
    [ -n "${STATE:-}" ] || die "Cannot build into \"$BUREAU_ROOT\": it is not yours to write" "clone the repository into a directory of your own"
    DIST=$STATE/dist-$(printf '%s' "$BUREAU_ROOT" | cksum | cut -d ' ' -f 1)
    (umask 077 && mkdir -p "$STATE") 2>/dev/null || die "Cannot make \"$STATE\": permission denied" "choose another directory with --state-dir"
    is_current "$DIST" && return 0
  fi
  # Whoever may read the checkout may read what is built from it: root's serves everybody.
  (umask 022 && fetching "$DENO" run -q --allow-read --allow-write --allow-env --allow-run "$BUREAU_ROOT/tasks/bundle.ts" "$DIST") ||
    die "Cannot build the runtime" "the lines above say why; the first build fetches packages from registry.npmjs.org: offline do it once with a network, behind a proxy set HTTPS_PROXY"
  if first_candidate; then printf '%s\n' "$candidate" "$DENO" >"$DIST/deno"; fi
}

# Prints the --allow-… flags of role $1, one a line. LISTEN, AUTHORITY, HOMESERVER, REPO are left out where unset.
# By the environment: awk takes a backslash in a -v for an escape.
grant_flags() {
  ROLE=$1 STATE=$STATE RUN=$RUN RUNTIME=$DIST DENO=$DENO HOMESERVER=${HOMESERVER:-} REPO=${REPO:-} TOKENFILE=${TOKENFILE:-} SOCKET=${SOCKET:-} CREDENTIALS=${CREDENTIALS:-} MCP=${MCP:-} FABRIC=${FABRIC:-} APPROVER=${APPROVER:-} MAIL=${MAIL:-} HOSTDIR=${HOSTDIR:-} REMOTE=${REMOTE:-} SERVE=${SERVE:-} SESSION=${SESSION:-} LOGINDIR=${LOGINDIR:-} awk '
    function fill(name) {
      if ((at = index(text, "@" name)) == 0) return
      value = ENVIRON[name]
      if (value == "" || name == "LISTEN" || name == "AUTHORITY") { skip = 1; return }
      text = substr(text, 1, at - 1) value substr(text, at + length(name) + 1)
    }
    $1 == ENVIRON["ROLE"] {
      flag = $2; text = $0; sub(/^[^ ]+ +[^ ]+ +/, "", text); skip = 0
      fill("STATE"); fill("RUNTIME"); fill("RUN"); fill("DENO")
      fill("HOMESERVER"); fill("REPO"); fill("TOKENFILE"); fill("SOCKET"); fill("CREDENTIALS"); fill("LISTEN"); fill("AUTHORITY"); fill("MCP"); fill("FABRIC"); fill("APPROVER"); fill("MAIL"); fill("HOSTDIR"); fill("WORKERS"); fill("REMOTE"); fill("SERVE"); fill("LOGINDIR"); fill("SESSION")
      if (!skip) list[flag] = list[flag] (list[flag] == "" ? "" : ",") text
    }
    END { for (flag in list) print "--allow-" flag "=" list[flag] }' "$BUREAU_ROOT/tasks/grants.txt"
}

# host:port of the http(s) URL $1; nothing when it is none.
address_of() {
  case "$1" in
    http://*) port=80 ;;
    https://*) port=443 ;;
    *) return 0 ;;
  esac
  host=${1#*://}
  host=${host%%[/?#]*}
  # Anything else would be another grant.
  case "$host" in '' | *[!]0-9A-Za-z.:[-]*) return 0 ;; esac
  case "${host##*]}" in *: | *:*[!0-9]*) return 0 ;; esac
  case "${host##*]}" in
    *:*) printf '%s\n' "$host" ;;
    *) printf '%s:%s\n' "$host" "$port" ;;
  esac
}

# Sets LOGIN, the file of `bureau login`.
find_login() {
  case "${BUREAU_SESSION:-operator}" in
    operator) LOGIN=${XDG_CONFIG_HOME:-$HOME/.config}/bureau/session.json ;;
    *) LOGIN=$(file_from_caller "$BUREAU_SESSION") ;;
  esac
  case "$LOGIN" in
    /*) ;;
    *) die "Cannot use the session \"$LOGIN\": not an absolute path" "set XDG_CONFIG_HOME to one, or unset it" ;;
  esac
}

# A path with these would be two grants.
check_login() {
  case "$LOGIN" in
    *,* | *'
'*) die "Cannot use the session \"$LOGIN\": a path here must not hold a comma or a line break" "name another file: BUREAU_SESSION=FILE" ;;
  esac
}

# Sets SESSION, whose session commands use, and HOMESERVER, where it is good. SESSION is empty for that of the operator of the
# state directory: where BUREAU_SESSION says so, where nobody logged in, or where the login is at another homeserver than that one.
find_session() {
  SESSION=''
  HOMESERVER=$(cat "$STATE/operator/homeserver" 2>/dev/null) || HOMESERVER=''
  find_login
  [ "${BUREAU_SESSION:-}" != operator ] || return 0
  if [ ! -r "$LOGIN" ]; then
    case "${BUREAU_SESSION:+named}$COMMAND" in
      namedlogin*) ;;
      named*) die "Cannot use the session \"$LOGIN\": there is no such file, or it is not yours" "log in: bureau login USER" ;;
    esac
    return 0
  fi
  there=$(cat "${LOGIN%/*}/homeserver" 2>/dev/null) || there=''
  [ -n "${BUREAU_SESSION:-}" ] || [ "${HOMESERVER:-$there}" = "$there" ] || return 0
  check_login
  SESSION=$LOGIN
  HOMESERVER=$there
}

# Prints the first two words of a command line that are no global flags.
command_words() {
  words=''
  skip=''
  for word in "$@"; do
    if [ -n "$skip" ]; then
      skip=''
      continue
    fi
    case "$word" in
      --state-dir | --run-dir) skip=yes ;;
      --json | --state-dir=* | --run-dir=*) ;;
      *) words="$words${words:+ }$word" ;;
    esac
    case "$words" in
      *' '*) break ;;
    esac
  done
  printf '%s\n' "$words"
}

# Prints how many words of a command line are no global flags.
word_count() {
  counted=0
  skip=''
  for word in "$@"; do
    case "$skip$word" in
      yes*) skip='' ;;
      --state-dir | --run-dir) skip=yes ;;
      --state-dir=* | --run-dir=*) ;;
      *) counted=$((counted + 1)) ;;
    esac
  done
  printf '%s\n' "$counted"
}

# Replaces this shell by role $1 with the rest as its arguments.
exec_role() {
  role=$1
  shift
  # What it and all it starts hold must not be written to disk by a crash; sandboxes have the same limit of their own.
  ulimit -c 0
  # Deno refuses to start programs with a scoped --allow-run while a loader variable is set.
  unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT
  flags=$(grant_flags "$role")
  program=$DIST/runtime/$role.js
  [ "$role" != bureau ] || program=$DIST/cli/bureau.js
  # Word by line: paths may hold spaces, and none is a pattern.
  oldifs=$IFS
  IFS='
'
  set -f
  # shellcheck disable=SC2086
  set -- $flags "$program" "$@"
  set +f
  IFS=$oldifs
  # shellcheck disable=SC2086
  exec ${PRIVILEGE:-} "$DENO" run ${DENO_FLAGS:-} --quiet --no-prompt --no-remote --cached-only --no-lock --unstable-no-legacy-abort \
    --config="$DIST/runtime/deno.json" --permission-set="$role" "$@"
}

# An absolute path for the directory $1, as seen from where the person stood (`deno task` changes directory).
from_caller() {
  case "$1" in
    /*) printf '%s\n' "$1" ;;
    *) (CDPATH='' cd -- "${INIT_CWD:-$PWD}/$1" 2>/dev/null && pwd -P) || die "Cannot find \"$1\": no such directory" ;;
  esac
}

# The git repository that holds the directory $1, as git itself would find it; $1 where there is none. Not one above it that
# is somebody else's: anybody may make a /tmp/.git.
repo_from_caller() {
  given=$(from_caller "$1")
  repo=$given
  while [ ! -e "$repo/.git" ] && { [ ! -f "$repo/HEAD" ] || [ ! -d "$repo/objects" ]; }; do
    repo=${repo%/*}
    if [ ! -O "$repo" ]; then
      repo=$given
      break
    fi
  done
  printf '%s\n' "$repo"
}

# The same for a file, which need not exist: whoever reads it says so better.
file_from_caller() {
  case "$1" in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "${INIT_CWD:-$PWD}/$1" ;;
  esac
}

# A place for control groups, made for the launcher by whoever may: it writes only there, from cells. Sets CGROUPS to
# `<version>:<controller>=<directory>,…`, or leaves it empty; preflight tells what is lacking then. What was made is written
# into $RUN/cgroups, because the next shell may stand in another group.
make_cgroups() {
  CGROUPS=''
  lock_cgroups || return 0
  # From here on an earlier one that has just ended leaves the place to us.
  (umask 077 && printf '%s\n' "$$" >"$RUN/cgroups.pid") 2>/dev/null || true
  if [ -O "$RUN/cgroups" ] && [ ! -L "$RUN/cgroups" ]; then
    CGROUPS=$(cat "$RUN/cgroups")
    for dir in $(cgroup_dirs); do [ -d "$dir" ] || CGROUPS=''; done
  fi
  name=bureau-$(printf '%s' "$RUN" | cksum | cut -d ' ' -f 1)
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    make_cgroup_v2
  elif [ -z "$CGROUPS" ] && [ "$(id -u)" -eq 0 ]; then
    make_cgroups_v1
  fi
  if [ -n "$CGROUPS" ]; then (umask 077 && printf '%s\n' "$CGROUPS" >"$RUN/cgroups") 2>/dev/null || true; fi
  exec 8>&-
}

# One at a time makes or removes the place: whoever has descriptor 8.
lock_cgroups() {
  [ -w "$RUN" ] && [ ! -L "$RUN/cgroups.lock" ] || return 1
  [ ! -e "$RUN/cgroups.lock" ] || [ -w "$RUN/cgroups.lock" ] || return 1
  exec 8>>"$RUN/cgroups.lock"
  flock 8
}

# The directories in CGROUPS, one a line; only such as we make.
cgroup_dirs() {
  printf '%s\n' "${CGROUPS#*:}" | tr , '\n' | sed -n 's|^[a-z]*=\(/sys/fs/cgroup/.*/bureau-[0-9]*\)$|\1|p'
}

# Of the launcher: as src/supervisor/directories.ts gives it to a root-started Bureau.
cgroup_owner() {
  if [ "$(id -u)" -eq 0 ]; then echo 64702:64700; else id -u; fi
}

make_cgroups_v1() {
  list=''
  for controller in memory pids cpu cpuacct freezer blkio; do
    mount=/sys/fs/cgroup/$controller
    [ -e "$mount/cgroup.procs" ] || continue
    own=$(awk -F : -v c="$controller" '{ n = split($2, names, ","); for (i = 1; i <= n; i++) if (names[i] == c) print $3 }' /proc/self/cgroup)
    # In a container the path may be the host's.
    [ -d "$mount$own" ] || own=''
    dir=$mount${own%/}/$name
    mkdir -p "$dir" 2>/dev/null && chown "$(cgroup_owner)" "$dir" 2>/dev/null || continue
    list=$list,$controller=$dir
  done
  case "$list" in
    *,memory=*,pids=*) CGROUPS=1:${list#,} ;;
  esac
}

# Version 2 limits only groups whose parent holds no process: we move into a leaf of the place, where also the launcher's
# right to move processes begins.
make_cgroup_v2() {
  own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
  place=${own%/}/$name
  [ -z "$CGROUPS" ] || place=$(cgroup_dirs)
  CGROUPS=''
  mkdir -p "$place/up" 2>/dev/null || return 0
  (echo $$ >"$place/up/cgroup.procs") 2>/dev/null || { rmdir "$place/up" "$place" 2>/dev/null || true; return 0; }
  for controller in memory pids cpu io; do
    (echo "+$controller" >"${place%/*}/cgroup.subtree_control") 2>/dev/null || true
  done
  if ! grep -qw memory "$place/cgroup.controllers" || ! grep -qw pids "$place/cgroup.controllers"; then
    (echo $$ >"${place%/*}/cgroup.procs") 2>/dev/null || true
    rmdir "$place/up" "$place" 2>/dev/null || true
    return 0
  fi
  chown "$(cgroup_owner)" "$place" "$place/cgroup.procs" "$place/cgroup.subtree_control" "$place/cgroup.threads" "$place/up" "$place/up/cgroup.procs" 2>/dev/null || return 0
  CGROUPS=2:unified=$place
}

# Where agents have groups, this process and what it starts come before them: a heavy group of their own, and short slices,
# with which the kernel (6.12 and later) lets them go first when they wake. The launcher gives agents the usual slices.
favour_bureau() {
  # Of this shell, also when it is a subshell, which $$ does not name.
  self=$(exec sh -c 'echo "$PPID"')
  case "$CGROUPS" in
    1:*)
      cpu=$(cgroup_dirs | sed -n '\|^/sys/fs/cgroup/cpu/|p')
      if [ -n "$cpu" ] && mkdir -p "$cpu/up" 2>/dev/null; then
        (echo 102400 >"$cpu/up/cpu.shares" && echo "$self" >"$cpu/up/cgroup.procs") 2>/dev/null || true
      fi
      # What holds keys and passwords is never written to a disk as swap.
      memory=$(cgroup_dirs | sed -n '\|^/sys/fs/cgroup/memory/|p')
      if [ -n "$memory" ] && mkdir -p "$memory/up" 2>/dev/null; then
        (echo 0 >"$memory/up/memory.swappiness" && echo "$self" >"$memory/up/cgroup.procs") 2>/dev/null || true
      fi
      ;;
    2:*)
      place=$(cgroup_dirs)
      (echo +memory >"$place/cgroup.subtree_control" && echo 0 >"$place/up/memory.swap.max") 2>/dev/null || true
      ;;
    '') return 0 ;;
  esac
  case "$(uname -m)" in
    x86_64) number=314 ;;
    aarch64) number=274 ;;
    *) return 0 ;;
  esac
  # sched_setattr(2): policy and nice stay, 100 us. Perl belongs to Debian's base system.
  perl -e '$a = pack("LLQlLQQQLL", 56, 0, 8, getpriority(0, $ARGV[1]), 0, 100_000, 0, 0, 0, 0);
    syscall($ARGV[0] + 0, $ARGV[1] + 0, $a, 0)' "$number" "$self" 2>/dev/null || true
}

# Nothing but empty directories of ours, and none of a Bureau that runs. $1: only what this pid was the last to make.
remove_cgroups() {
  # Somebody removed the run directory, and with it the lock: nobody else has the place either.
  if [ ! -d "$RUN" ]; then
    remove_cgroup_dirs
    return 0
  fi
  [ ! -e "$RUN/up/up.sock" ] && lock_cgroups || return 0
  if [ -n "${1:-}" ] && [ "$(cat "$RUN/cgroups.pid" 2>/dev/null)" != "$1" ]; then
    exec 8>&-
    return 0
  fi
  remove_cgroup_dirs
  exec 8>&-
}

# A group can be removed a moment after its last process has ended.
remove_cgroup_dirs() {
  tries=0
  while ! remove_cgroup_dirs_once && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    [ "$tries" -ne 10 ] || end_half_made
    sleep 0.1
  done
}

# bwrap's child waits for ever where its parent was killed before it let the child go on (until then it has no
# parent-death signal either). Nobody else may have such a process in these groups.
end_half_made() {
  for dir in $(cgroup_dirs); do cat "$dir"/*/cgroup.procs 2>/dev/null || true; done | sort -u |
    while read -r pid; do
      [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != bwrap ] || kill -KILL "$pid" 2>/dev/null || true
    done
}

remove_cgroup_dirs_once() {
  for dir in $(cgroup_dirs); do rmdir "$dir"/*/ "$dir" 2>/dev/null || true; done
  for dir in $(cgroup_dirs); do [ ! -d "$dir" ] || return 1; done
  rm -f "$RUN/cgroups" "$RUN/cgroups.pid" 2>/dev/null || true
}

# Where systemd manages version 2, a scope of our own is what we may make groups in. Runs `sh "$0" "$@"` in one, and
# returns where there is none to have.
enter_scope() {
  [ -e /sys/fs/cgroup/cgroup.controllers ] && [ -d /run/systemd/system ] && [ -z "${BUREAU_SCOPE:-}" ] || return 0
  scope=--system
  [ "$(id -u)" -eq 0 ] || scope=--user
  systemd-run "$scope" --scope --quiet -p Delegate=yes -- true >/dev/null 2>&1 </dev/null || return 0
  BUREAU_SCOPE=1
  export BUREAU_SCOPE
  exec systemd-run "$scope" --scope --quiet -p Delegate=yes -- sh "$0" "$@"
}

# For what starts a process that stays: with it would stay open whatever else is open here, and whoever reads the other end of
# a pipe would wait for it. Runs `sh "$0" "$@"` without; bash, for sh closes no number of two digits.
close_others() {
  [ -z "${BUREAU_CLOSED:-}" ] || return 0
  # shellcheck disable=SC2016
  BUREAU_CLOSED=1 exec bash -c '
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    exec sh "$@"' bash "$0" "$@"
}
