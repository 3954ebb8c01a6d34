# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `dashboard`: starts a tmux of its own for as long as the person looks, and beside it the CLI,
# which says over two pipes what tmux is to show. The CLI itself may start no program. Works on "$@".

TMUX_PROGRAM=$(command -v tmux) || die "Cannot show a dashboard: there is no tmux on this machine" "apt-get install tmux"

# As tmux itself would be started: not in a session, with colours, and UTF-8 whatever the locale.
dashboard_tmux() {
  env -u TMUX -u TMUX_PANE "$TMUX_PROGRAM" -u -S "$SCRATCH/tmux.sock" "$@"
}

case " $* " in
  # Only told, nothing shown.
  *' --json '* | *' --help '* | *' -h '*) exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" ;;
esac
{ [ -t 0 ] && [ -t 1 ]; } || die "Cannot show a dashboard: this is not a terminal" "--json prints what it would show"

# What is wrong with the words, or with this Bureau, is said before anything starts.
PLAN=$(exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --plan) || exit $?
if [ "$PLAN" != 'bureau-dashboard 1' ]; then
  printf '%s\n' "$PLAN"
  exit 0
fi

# A Unix socket's path has 107 bytes: not in TMPDIR, which may be long.
SCRATCH=$(mktemp -d /tmp/bureau-dashboard.XXXXXX)
end_dashboard() {
  dashboard_tmux kill-server 2>/dev/null || true
  rm -rf -- "$SCRATCH"
}
# Nothing stays when this process is gone, however it went.
(
  trap '' HUP INT QUIT TERM
  exec </dev/null >/dev/null 2>&1
  tail --pid=$$ -f /dev/null
  end_dashboard
) &
trap 'end_dashboard' EXIT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap '' INT

cat >"$SCRATCH/tmux.conf" <<'END'
set -s escape-time 10
set -s exit-empty on
set -s set-clipboard off
set -g default-terminal screen-256color
set -g prefix C-a
set -g mouse on
set -g remain-on-exit failed
set -g destroy-unattached off
set -g detach-on-destroy on
set -g window-size latest
set -g history-limit 2000
set -g status-interval 0
set -g status-left ''
set -g status-right ' #{@bureau_status} '
set -g status-right-length 200
set -g set-titles off
set -g pane-border-status top
set -g pane-border-format ' #{?@bureau_need,#[reverse] #{@bureau_need} #[noreverse] ,}#{pane_title} '
setw -g automatic-rename off
setw -g allow-rename off
END

size=$(stty size)
# Held until the layout is there.
dashboard_tmux -f "$SCRATCH/tmux.conf" new-session -d -s bureau -n bureau -x "${size#* }" -y "${size% *}" \
  /bin/sh -c "printf 'No agent is here yet.\n'; while read -r line; do :; done"
dashboard_tmux set-option -p -t '=bureau:' @bureau_pane '%7B%22role%22%3A%22No%20agent%20is%20here%20yet.%22%7D'
dashboard_tmux set-option -g @bureau_status 'starting'

# Again and again while there is a tmux to speak to: a dashboard outlives what goes wrong beside it.
(
  trap '' INT
  exec 2>>"$SCRATCH/log" </dev/null
  while dashboard_tmux has-session -t '=bureau' 2>/dev/null; do
    rm -f "$SCRATCH/in" "$SCRATCH/out"
    mkfifo "$SCRATCH/in" "$SCRATCH/out"
    dashboard_tmux -C attach-session -f ignore-size,no-output -t '=bureau' <"$SCRATCH/in" >"$SCRATCH/out" &
    (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --control "$BUREAU_ROOT/tasks/bureau" >"$SCRATCH/in" <"$SCRATCH/out") || sleep 1
    wait
  done
) &

# In the background, so that a signal to this shell is obeyed at once.
exec 3<&0
dashboard_tmux attach-session -t '=bureau' <&3 &
wait $! || true
exit 0
