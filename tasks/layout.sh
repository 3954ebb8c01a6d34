# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `layout edit`: the person's editor runs between two calls of the CLI, which may start none.

# $VISUAL and $EDITOR may hold options: they are commands of the shell's.
EDIT=${VISUAL:-${EDITOR:-vi}}
SCRATCH=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/bureau-layout.XXXXXX")
trap 'rm -rf -- "$SCRATCH"' EXIT
trap 'exit 130' INT HUP TERM
TEXT=$SCRATCH/layout.yaml

(exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@") >"$TEXT" || {
  status=$?
  cat "$TEXT"
  exit "$status"
}
case "$(head -n 1 "$TEXT")" in
  '# of the layout '*) ;;
  *)
    cat "$TEXT"
    exit 0
    ;;
esac
cp "$TEXT" "$SCRATCH/before"
while :; do
  sh -c "$EDIT \"\$1\"" sh "$TEXT" || die "Cannot edit the layout: \"$EDIT\" failed" "set EDITOR to an editor of yours; nothing was changed"
  if cmp -s "$SCRATCH/before" "$TEXT"; then
    echo 'nothing was edited'
    exit 0
  fi
  if (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --done --source layout.yaml <"$TEXT"); then exit 0; else status=$?; fi
  if [ ! -t 0 ]; then exit "$status"; fi
  printf 'Edit it again? [Y/n] '
  read -r answer || answer=n
  case "$answer" in
    [nN]*)
      keep=$(umask 077 && mktemp "${TMPDIR:-/tmp}/bureau-layout.yaml.XXXXXX")
      cp "$TEXT" "$keep"
      echo "nothing was changed; your text is in $keep"
      exit "$status"
      ;;
  esac
done
