# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `environment build`, `update` and `outputs`: runs Nix as the person who asks, and leaves what it
# built in $STATE/environments/NAME/NUMBER, a generation, for the CLI to read. The CLI itself may start nothing.
#
# A generation holds `result` and `closure`, links that Nix takes for roots of its garbage collection; `flake`, what it was
# built from; `metadata.json`, which revision that was; and, written last, `paths.json`: the closure, path by path.

NAME=''
FLAKE=''
ASKED=$(command_words "$@")
previous=''
number=0
for argument in "$@"; do
  case "$previous|$argument" in
    --state-dir'|'* | --run-dir'|'*) ;;
    *'|--help' | *'|-h') ASKED=help ;;
    *'|-'*) ;;
    *)
      number=$((number + 1))
      case "$ASKED $number" in
        'environment build 3' | 'environment update 3') NAME=$argument ;;
        'environment build 4' | 'environment outputs 3') FLAKE=$argument ;;
      esac
      ;;
  esac
  previous=$argument
done

with_nix() {
  { command -v nix && command -v nix-store; } >/dev/null ||
    die "Cannot use environments: there is no Nix on this machine" "sh tasks/setup-nix --check says what is lacking; docs/guide/environments.md has the rest"
}

run_nix() {
  nix --extra-experimental-features 'nix-command flakes' "$@"
}

# A flake that is named by its directory, as seen from where the person stood; other references are Nix's to read.
flake_from_caller() {
  output=''
  case "$1" in *'#'*) output="#${1#*#}" ;; esac
  place=${1%%#*}
  case "$place" in
    '' | . | .. | ./* | ../* | /*) printf '%s%s\n' "$(from_caller "${place:-.}")" "$output" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# A number that no generation has had.
next_generation() {
  last=0
  for dir in "$1"/[1-9]*; do
    [ -d "$dir" ] || continue
    # One that was killed.
    if [ ! -e "$dir/paths.json" ]; then
      rm -rf -- "$dir"
      continue
    fi
    [ "${dir##*/}" -le "$last" ] || last=${dir##*/}
  done
  printf '%s\n' $((last + 1))
}

# Builds $FLAKE as the next generation of $NAME; sets GENERATION, to the current one where that has the same closure.
build_generation() {
  HOME_OF=$STATE/environments/$NAME
  current=$(cat "$HOME_OF/current" 2>/dev/null) || current=''
  NEW=$HOME_OF/$(next_generation "$HOME_OF")
  mkdir "$NEW"
  trap 'rm -rf -- "$NEW"' EXIT
  trap 'exit 130' INT HUP TERM
  # Logs of builders are lines of stderr, of which --json has none.
  run_nix build "$@" --print-build-logs --out-link "$NEW/result" "$FLAKE" >&2 ||
    die "Cannot build \"$FLAKE\"" "the lines above are Nix's; \`bureau environment outputs ${FLAKE%%#*}\` shows what a flake has"
  [ -e "$NEW/result" ] || die "Cannot use \"$FLAKE\": it has no output \"out\""
  result=$(readlink "$NEW/result")
  mkdir "$NEW/bureau-environment"
  nix-store --query --requisites "$result" >"$NEW/bureau-environment/store-paths"
  printf '%s\n' "$result" >"$NEW/bureau-environment/environment"
  for program in sh script; do
    has_program "$program" <"$NEW/bureau-environment/store-paths" ||
      die "Cannot use \"$FLAKE\" as an environment: no path of its closure has bin/$program" "add bash and util-linux to it; docs/guide/environments.md has an example"
  done
  # In the store the list itself has a name by its content: what an operator signs is that.
  closure=$(nix-store --add "$NEW/bureau-environment")
  nix-store --realise "$closure" --add-root "$NEW/closure" --indirect >/dev/null
  rm -rf -- "$NEW/bureau-environment"
  if [ -n "$current" ] && [ "$closure" = "$(readlink "$HOME_OF/$current/closure")" ]; then
    GENERATION=$current
    return 0
  fi
  printf '%s\n' "$FLAKE" >"$NEW/flake"
  run_nix flake metadata --json "${FLAKE%%#*}" >"$NEW/metadata.json"
  run_nix path-info --json --recursive "$result" >"$NEW/paths.json.new"
  mv "$NEW/paths.json.new" "$NEW/paths.json"
  GENERATION=${NEW##*/}
}

has_program() {
  while IFS= read -r path; do
    [ ! -x "$path/bin/$1" ] || return 0
  done
  return 1
}

# The CLI decides, with the operator, whether the new generation becomes the current one; else it goes.
decide() {
  ended=0
  (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --generation "$GENERATION") || ended=$?
  if [ "$(cat "$HOME_OF/current" 2>/dev/null)" = "${NEW##*/}" ]; then trap - EXIT; fi
  exit "$ended"
}

case "$ASKED" in
  'environment build' | 'environment update')
    case "$NAME" in
      '' | *[!a-z0-9-]* | -*) ASKED=wrong ;;
    esac
    [ "$ASKED" != 'environment build' ] || [ -n "$FLAKE" ] || ASKED=wrong
    ;;
  'environment outputs') [ -n "$FLAKE" ] || ASKED=wrong ;;
esac
# Where a word is missing or wrong the CLI says so.
case "$ASKED" in
  'environment build' | 'environment update')
    with_nix
    [ -d "$STATE/operator" ] || die "Cannot build \"$NAME\": there is no Bureau in \"$STATE\"" "run \`sh tasks/bootstrap up\` first"
    umask 022
    if [ "$ASKED" = 'environment update' ]; then
      current=$(cat "$STATE/environments/$NAME/current" 2>/dev/null) ||
        die "Cannot update \"$NAME\": there is no such environment" "\`bureau environment list\` shows them; \`bureau environment build $NAME FLAKE\` makes it"
      FLAKE=$(cat "$STATE/environments/$NAME/$current/flake")
    else
      FLAKE=$(flake_from_caller "$FLAKE")
    fi
    mkdir -p "$STATE/environments/$NAME" || die "Cannot write to \"$STATE/environments\"" "run this as who runs \`up\`"
    exec 7>"$STATE/environments/$NAME/lock"
    flock --nonblock 7 || die "Cannot build \"$NAME\": it is being built already" "wait until that has ended"
    echo "building $FLAKE" >&2
    if [ "$ASKED" = 'environment update' ]; then build_generation --refresh; else build_generation; fi
    decide "$@"
    ;;
  'environment outputs')
    with_nix
    FLAKE=$(flake_from_caller "$FLAKE")
    shown=$(run_nix flake show --json "${FLAKE%%#*}") ||
      die "Cannot read the flake \"$FLAKE\"" "the lines above are Nix's; a directory is named ./DIR, another place github:OWNER/NAME"
    printf '%s' "$shown" | (exec_role bureau --state-dir "$STATE" --run-dir "$RUN" "$@" --system "$(uname -m)-linux")
    exit $?
    ;;
esac
