# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `agent create` without a NAME: a person is asked first, and the command that comes of it runs with
# its own permissions. Sets "$@" and EGRESS, what it may reach besides; credentials are on stdin, and on no disk.

ASKED=$(exec_role bureau --state-dir "$STATE" --run-dir "$RUN" ${SESSION:+--session-file "$SESSION"} agent ask) || exit $?
EGRESS=''
ANSWERS=''
set -- agent create
while read -r kind value; do
  case "$kind" in
    arg) set -- "$@" "$value" ;;
    dry-run) set -- "$@" --dry-run ;;
    egress) EGRESS=$value ;;
    credentials)
      ANSWERS=$value
      set -- "$@" --credentials -
      ;;
  esac
done <<END
$ASKED
END
NAME=$3
if [ -n "$ANSWERS" ]; then
  exec <<END
$ANSWERS
END
fi
