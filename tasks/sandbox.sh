# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `sandbox run` and `sandbox check`: the CLI reads the words and prints what the launcher is to
# do; a launcher that lives for one sandbox does it. Neither holds the rights of the other. Works on "$@": sh has no arrays.
# Also for `worker run`, `worker pool`, `worker serve` and `worker spawn`, whose parent (or host) starts one such launcher for each worker.

. "$BUREAU_ROOT/tasks/cell.sh"
HERE=$(readlink -e -- "${INIT_CWD:-$PWD}") || HERE=/

# A path of --rw or --ro as seen from where the person stands, without links; behind it `:DEST`, where there is one.
bind_from_caller() {
  path=$1
  dest=''
  case "$1" in
    ?*:/*)
      path=${1%:/*}
      dest=:/${1##*:/}
      ;;
  esac
  path=$(file_from_caller "$path")
  real=$(readlink -e -- "$path") || die "Cannot bind \"$path\": it does not exist"
  # Root's sandboxes have a user of their own, and what root may reach is not what they may.
  [ "$(id -u)" -ne 0 ] || as_launcher test -r "$real" ||
    die "Cannot bind \"$real\": the sandbox's user ($LAUNCHER_UID) can't reach it" "give it the right, or run this as the user whose it is"
  printf '%s%s\n' "$real" "$dest"
}

# What stands in the file $1, in base64. The words are the person's, so the file is read as the person.
secret_from_caller() {
  path=$(file_from_caller "$1")
  { [ -r "$path" ] && [ ! -d "$path" ]; } || die "Cannot read \"$path\"" "give a file that you can read; a secret is never an argument itself"
  base64 -w 0 <"$path"
}

# Adds a line to SECRETS for NAME=FILE@HOSTS, and prints NAME@HOSTS. The last @ is meant: a file may have one in its name.
SECRETS=''
credential_from_caller() {
  case "$1" in
    ?*=?*@?*) ;;
    *) die "Cannot use the credential \"${1%%=*}\": it is not NAME=FILE@HOST" "for example --credential GH_TOKEN=token.txt@api.github.com" ;;
  esac
  name=${1%%=*}
  file=${1#*=}
  file=${file%@*}
  value=$(secret_from_caller "$file") || exit 1
  SECRETS="$SECRETS$name $value
"
  argument=$name@${1##*@}
  NETWORK=yes
}

ca_from_caller() {
  value=$(secret_from_caller "$1") || exit 1
  SECRETS="$SECRETS--ca $value
"
  argument=given
}

# Sets DOCUMENT. Anything else that the CLI prints (help, an error) is the answer, and the end.
ask() {
  DOCUMENT=$(printf '%s' "$SECRETS" | exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@") || {
    status=$?
    [ -z "$DOCUMENT" ] || printf '%s\n' "$DOCUMENT"
    exit "$status"
  }
  case "$DOCUMENT" in
    '{"version":1,"mode":'*) ;;
    *)
      printf '%s\n' "$DOCUMENT"
      exit 0
      ;;
  esac
}

# What workers are to do, where the words don't say it.
assignments_from_stdin() {
  [ ! -t 0 ] || return 0
  for word in "$@"; do
    case "$word" in --assignment | --assignment=* | --help | -h) return 0 ;; --) break ;; esac
  done
  SECRETS="$SECRETS--assignments $(base64 -w 0)
"
}

spec_from_caller() {
  value=$(secret_from_caller "$1") || exit 1
  SECRETS="$SECRETS--spec $value
"
  argument=given
}

token_from_caller() {
  value=$(secret_from_caller "$1") || exit 1
  SECRETS="$SECRETS--token-file $value
"
  argument=given
}

# Each server has a sandbox of its own, and those may have a network. They meet the worker by mail: mailboxes, and in s the
# socket of their broker, which is all that sandboxes see.
mcp_from_caller() {
  value=$(secret_from_caller "$1") || exit 1
  SECRETS="$SECRETS--mcp $value
"
  NETWORK=yes
  [ -z "$MAIL" ] || return 0
  MAIL=$(mktemp -d "/tmp/bureau-m.XXXXXX")
  mkdir -m 700 "$MAIL/s" "$MAIL/mail"
  [ "$(id -u)" -ne 0 ] || chown -R "$LAUNCHER_UID:$LAUNCHER_GID" "$MAIL"
  remove_afterwards "$MAIL"
}

# Removes $1 when this process is gone, however it went.
remove_afterwards() {
  (
    trap '' HUP INT QUIT TERM
    exec </dev/null >/dev/null 2>&1
    tail --pid=$$ -f /dev/null
    rm -rf -- "$1"
  ) &
}

# The one network address that a process about workers may use, from its document.
REMOTE=''
SERVE=''
# The command whose process is a parent, or asks for a host.
PARENT=''

# Where people are asked about tool calls: --ask, else here, where somebody sits.
where_to_ask() {
  where=''
  previous=''
  for word in "$@"; do
    case "$previous|$word" in
      *'|--') break ;;
      --ask'|'*) where=$word ;;
      *'|'--ask=*) where=${word#*=} ;;
    esac
    previous=$word
  done
  if [ -z "$where" ] && [ -t 2 ] && has_terminal; then where=terminal; fi
  printf '%s\n' "${where:-nobody}"
}

has_terminal() {
  (: </dev/tty) 2>/dev/null
}

# The parent has neither the person's terminal nor their session: a process of theirs asks for it, and ends with it.
start_approver() {
  exec_role bureau --state-dir "$STATE" --run-dir "$RUN" worker approver --ask "$ASK" --socket "$APPROVER" --parent "$$"
}

case "$(command_words "$@")" in
  worker' '*)
    PARENT=$(command_words "$@")
    case "$PARENT" in 'worker run' | 'worker pool') assignments_from_stdin "$@" ;; esac
    prepare_launcher
    find_host
    PRIVILEGE_OF_LAUNCHER=$PRIVILEGE
    PRIVILEGE=''
    ;;
esac
# Where workers and their parent meet: a Unix socket's path has 107 bytes, so not in TMPDIR, which may be long. A host has a
# place of its own.
FABRIC=''
ASK=''
APPROVER=''
MAIL=''
case "$PARENT" in
  'worker run' | 'worker pool' | 'worker serve')
    FABRIC=$(mktemp -d "/tmp/bureau-w.XXXXXX")
    [ "$(id -u)" -ne 0 ] || chown "$LAUNCHER_UID:$LAUNCHER_GID" "$FABRIC"
    remove_afterwards "$FABRIC"
    [ "$PARENT" = 'worker serve' ] || ASK=$(where_to_ask "$@")
    case "$ASK" in
      terminal | room)
        [ "$ASK" = room ] || has_terminal || die "Cannot ask on a terminal: there is none" "give --ask room, or --ask nobody"
        # Not in FABRIC, which workers see.
        APPROVER=$(mktemp -d "/tmp/bureau-a.XXXXXX")
        [ "$(id -u)" -ne 0 ] || chown "$LAUNCHER_UID:$LAUNCHER_GID" "$APPROVER"
        remove_afterwards "$APPROVER"
        APPROVER=$APPROVER/ask.sock
        ;;
    esac
    ;;
esac

# Binds with absolute paths; what only we know, right behind the command's name.
SCRATCH=''
NETWORK=''
SOCKETS=''
remaining=$#
previous=''
while [ "$remaining" -gt 0 ]; do
  argument=$1
  shift
  remaining=$((remaining - 1))
  case "$previous|$argument" in
    --'|'*) set -- "$@" "$argument" && continue ;;
    sandbox'|'run)
      set -- "$@" run --here "$HERE"
      if [ -t 0 ] && [ -t 1 ]; then set -- "$@" --terminal; fi
      previous=''
      continue
      ;;
    worker'|'run | worker'|'pool | worker'|'serve)
      set -- "$@" "$argument" --here "$HERE" --fabric "$FABRIC" --runtime "$DIST/runtime" --host "$HOSTDIR"
      [ -z "$APPROVER" ] || set -- "$@" --approver "$APPROVER"
      previous=''
      continue
      ;;
    worker'|'spawn)
      set -- "$@" "$argument" --here "$HERE" --runtime "$DIST/runtime" --host "$HOSTDIR"
      previous=''
      continue
      ;;
    sandbox'|'check)
      SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/bureau-check.XXXXXX")
      trap 'rm -rf "$SCRATCH"' EXIT
      trap 'exit 130' INT HUP TERM
      SCRATCH=$(readlink -e "$SCRATCH")
      set -- "$@" check --scratch "$SCRATCH"
      previous=''
      continue
      ;;
    --rw'|'* | --ro'|'*)
      argument=$(bind_from_caller "$argument")
      ;;
    --credential'|'*) credential_from_caller "$argument" ;;
    *'|'--credential=*)
      credential_from_caller "${argument#*=}"
      argument=--credential=$argument
      ;;
    --ca'|'*) ca_from_caller "$argument" ;;
    --spec'|'*) spec_from_caller "$argument" ;;
    --token-file'|'*) token_from_caller "$argument" ;;
    *'|'--token-file=*)
      token_from_caller "${argument#*=}"
      argument=--token-file=$argument
      ;;
    --mcp'|'*)
      mcp_from_caller "$argument"
      set -- "$@" given --mail "$MAIL"
      previous=''
      continue
      ;;
    *'|'--mcp=*)
      mcp_from_caller "${argument#*=}"
      set -- "$@" --mcp=given --mail "$MAIL"
      previous=''
      continue
      ;;
    *'|'--spec=*)
      spec_from_caller "${argument#*=}"
      argument=--spec=$argument
      ;;
    *'|'--ca=*)
      ca_from_caller "${argument#*=}"
      argument=--ca=$argument
      ;;
    *'|'--allow-host | *'|'--allow-host=*) NETWORK=yes ;;
    *'|'--rw=* | *'|'--ro=*)
      bound=$(bind_from_caller "${argument#*=}")
      argument=${argument%%=*}=$bound
      ;;
  esac
  set -- "$@" "$argument"
  previous=$argument
done

# Who starts workers makes one for each.
if [ -n "$NETWORK" ] && [ -z "$PARENT" ]; then
  # A Unix socket's path has 107 bytes: not in TMPDIR, which may be long.
  SOCKETS=$(mktemp -d "/tmp/bureau-run.XXXXXX")
  [ "$(id -u)" -ne 0 ] || chown "$LAUNCHER_UID:$LAUNCHER_GID" "$SOCKETS"
  # It stays until this process, which becomes the launcher, is gone.
  remove_afterwards "$SOCKETS"
  # Behind the command's name, before what may be the program's own words.
  at=$#
  placed=''
  while [ "$at" -gt 0 ]; do
    argument=$1
    shift
    at=$((at - 1))
    set -- "$@" "$argument"
    if [ -z "$placed" ] && [ "$argument" = run ]; then
      set -- "$@" --sockets "$SOCKETS"
      placed=yes
    fi
  done
fi

ask "$@"

case "$ASK" in
  terminal) start_approver </dev/tty >/dev/tty 2>/dev/tty & ;;
  room) start_approver </dev/null & ;;
esac
if [ -n "$PARENT" ]; then
  PRIVILEGE=$PRIVILEGE_OF_LAUNCHER
  role=parent
  case "$DOCUMENT" in
    '{"version":1,"mode":"worker","remote":{"address":"'*)
      REMOTE=${DOCUMENT#*'"address":"'}
      REMOTE=${REMOTE%%'"'*}
      ;;
    '{"version":1,"mode":"resident","listen":"'*)
      SERVE=${DOCUMENT#*'"listen":"'}
      SERVE=${SERVE%%'"'*}
      role=resident
      ;;
  esac
  exec_role "$role" <<END
$DOCUMENT
END
fi

if [ -z "$SCRATCH" ]; then
  prepare_launcher
  # What the launcher may write: its sockets, and nothing of a Bureau that serves.
  [ -z "$SOCKETS" ] || RUN=$SOCKETS
  # The launcher's stdin is its document; the sandbox gets the person's.
  exec 4<&0 5>&1 6>&2
  exec_role launcher <<END
$DOCUMENT
END
fi

# A workspace as an agent might have it, so that there is something to protect.
mkdir -p "$SCRATCH/.git/hooks" "$SCRATCH/.git/objects" "$SCRATCH/.vscode"
for file in .git/HEAD .git/config .envrc .vscode/tasks.json; do : >"$SCRATCH/$file"; done
[ "$(id -u)" -ne 0 ] || chown -R "$LAUNCHER_UID:$LAUNCHER_GID" "$SCRATCH"
REPORT=$(
  # It ends with us.
  prepare_launcher --pdeathsig=KILL
  exec_role launcher <<END
$DOCUMENT
END
)
# The same words again, now for whoever shows it.
(
  printf '%s\n' "$REPORT" | exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --report
)
case "$REPORT" in
  *'"verdict":"breached"'* | *'"verdict":"failed"'*) exit 1 ;;
esac
exit 0
