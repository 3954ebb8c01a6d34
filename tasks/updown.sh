# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `up` and `down`: hands over to tasks/up, without the command's own word.

word=${COMMAND%% *}
found=''
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  if [ -z "$found" ] && [ "$argument" = "$word" ]; then found=yes; else set -- "$@" "$argument"; fi
  count=$((count - 1))
done
case "$word" in
  up) exec sh "$BUREAU_ROOT/tasks/up" "$@" ;;
  down)
    # Asking for help must stop nothing.
    case " $* " in *' --help '* | *' -h '*) exec sh "$BUREAU_ROOT/tasks/up" --help ;; esac
    exec sh "$BUREAU_ROOT/tasks/up" --down "$@"
    ;;
esac
