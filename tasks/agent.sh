# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for what looks at an agent's work. The agent may have written anything there, so neither this shell
# nor the CLI opens it: the CLI prints what is to run in a throw-away cell, a launcher of its own makes that, and what
# comes out of it is the stdin of the CLI's second run.

. "$BUREAU_ROOT/tasks/cell.sh"

# The cell's stream on stdout. No network, nothing writable; it ends with us.
run_cell() {
  # Clones belong to whoever launches agents here.
  if [ "$(id -u)" -eq 0 ] && owner=$(stat -c '%u %g' "$STATE/workspaces" 2>/dev/null) && [ "${owner% *}" -ne 0 ]; then
    LAUNCHER_UID=${owner% *}
    LAUNCHER_GID=${owner#* }
  fi
  prepare_launcher --pdeathsig=KILL
  exec 4</dev/null 5>&1 6>&2 1>&2
  exec_role launcher <<END
$DOCUMENT
END
}

# Runs the command line "$@" with a look; what is no document (help, an error) is the answer.
with_look() {
  DOCUMENT=$(exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@") || {
    status=$?
    [ -z "$DOCUMENT" ] || printf '%s\n' "$DOCUMENT"
    return "$status"
  }
  case "$DOCUMENT" in
    '{"version":1,"mode":'*) ;;
    *)
      [ -z "$DOCUMENT" ] || printf '%s\n' "$DOCUMENT"
      return 0
      ;;
  esac
  (run_cell) | (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --work)
}

case "$LOOK" in
  first)
    # For what is asked or warned of; a look that fails keeps nobody from removing an agent.
    with_look "$@" --look >/dev/null 2>&1 || true
    ;;
  merge)
    # Who merges is the person, as their own git knows them; a repository's own setting goes before that.
    name=$(git config --global --get user.name 2>/dev/null) || name=''
    email=$(git config --global --get user.email 2>/dev/null) || email=''
    if [ -n "$name" ] && [ -n "$email" ]; then set -- "$@" --as "$name <$email>"; fi
    with_look "$@"
    exit
    ;;
  *)
    with_look "$@"
    exit
    ;;
esac
