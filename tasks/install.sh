# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `agent install NAME`: fetches somebody else's program, in the version and with the hash that
# agent/driver/programs/*.lock say, through Deno as the client of npm. The CLI itself may fetch and start nothing.

PROGRAM=''
previous=''
for argument in "$@"; do
  case "$previous|$argument" in
    --state-dir'|'* | --run-dir'|'*) ;;
    *'|-'* | *'|agent' | *'|install') ;;
    *) PROGRAM=${PROGRAM:-$argument} ;;
  esac
  previous=$argument
done

# Fetches $1 and leaves its package's directory in $PACKAGE, below $WORK.
fetch_program() {
  lock=$BUREAU_ROOT/agent/driver/programs/$1-$(uname -m).lock
  [ -r "$lock" ] || die "Cannot install \"$1\": there is no build of it for $(uname -m)"
  wanted=$(sed -n 's/^ *"\(npm:[^"]*\)": .*/\1/p' "$lock" | head -n 1)
  version=${wanted##*@}
  version=${version%%-linux-*}
  if [ "$(cat "$STATE/agents/$1/VERSION" 2>/dev/null)" = "$version" ]; then return 1; fi
  echo "fetching $wanted" >&2
  # Its hash is known, so how long ago it was published tells nothing.
  DENO_DIR=$WORK/deno "$DENO" cache --quiet --no-config --minimum-dependency-age=0 --lock="$lock" --frozen "$wanted" ||
    die "Cannot install \"$1\": npm gave no $wanted with the hash that it must have" "is this machine on the Internet? NPM_CONFIG_REGISTRY names another registry"
  name=${wanted#npm:}
  PACKAGE=$(find "$WORK/deno/npm" -path "*/${name%@*}/${name##*@}" -type d | head -n 1)
  [ -n "$PACKAGE" ] || die "Cannot install \"$1\": its package holds something else than was expected"
}

case "$PROGRAM" in
  claude | codex)
    [ -d "$STATE/agents" ] || die "Cannot install \"$PROGRAM\": there is no \"$STATE/agents\"" "run \`sh tasks/bootstrap up\` first"
    # Of one that was killed; another that goes on beside this takes minutes.
    find "$STATE/agents" -maxdepth 1 -name '.install.*' -mmin +120 -exec rm -rf -- {} +
    WORK=$(mktemp -d "$STATE/agents/.install.XXXXXX") || die "Cannot install \"$PROGRAM\": cannot write to \"$STATE/agents\""
    trap 'rm -rf -- "$WORK"' EXIT
    trap 'exit 130' INT HUP TERM
    if fetch_program "$PROGRAM"; then
      NEW=$WORK/new
      case "$PROGRAM" in
        claude)
          mkdir "$NEW"
          mv "$PACKAGE/claude" "$NEW/claude"
          cp "$PACKAGE/LICENSE.md" "$NEW/"
          ;;
        codex)
          # Its voice is left out: nobody speaks to it in there.
          mv "$PACKAGE"/vendor/*-linux-musl "$NEW"
          rm -rf -- "$NEW/codex-resources/voice"
          ;;
      esac
      echo "$version" >"$NEW/VERSION"
      chmod -R u=rwX,go=rX "$NEW"
      find "$NEW" -type f -size +1M -exec chmod 755 {} +
      # Who runs the old one keeps the files that it has open.
      [ ! -e "$STATE/agents/$PROGRAM" ] || mv "$STATE/agents/$PROGRAM" "$WORK/old"
      mv "$NEW" "$STATE/agents/$PROGRAM"
    fi
    # exec_role takes this shell's place, which would have cleaned up.
    rm -rf -- "$WORK"
    trap - EXIT INT HUP TERM
    ;;
esac
