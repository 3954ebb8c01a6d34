# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `credential …`: a file with a credential comes on stdin, as the CLI reads nothing of a
# person's by itself, and no value is ever an argument.

# Prints what the tool $1 of the person holds.
tool_store() {
  case "$1" in
    gh)
      file=${GH_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/gh}/hosts.yml
      # Newer ones keep their tokens in a keyring, and give them when asked.
      if [ -r "$file" ] && grep -q oauth_token: "$file"; then
        cat "$file"
      elif command -v gh >/dev/null 2>&1 && token=$(gh auth token 2>/dev/null) && [ -n "$token" ]; then
        printf 'github.com:\n  oauth_token: %s\n' "$token"
      else
        die "Cannot find a token of gh: \"$file\" holds none" 'run `gh auth login`, or name a variable: --from-env GH_TOKEN'
      fi
      ;;
    npmrc | netrc)
      file=$HOME/.$1
      [ -r "$file" ] || die "Cannot read \"$file\": there is no such file, or it is not yours"
      cat "$file"
      ;;
  esac
}

# Prints `NAME <base64>` for each variable; `printf` is the shell's own: no value is an argument of a process.
variables() {
  for name in $1; do
    case "$name" in
      '' | *[!A-Za-z0-9_]* | [0-9]*) die "Cannot import \"$name\": it is no name of a variable" ;;
    esac
    eval "value=\${$name-}"
    [ -n "$value" ] || die "Cannot import \$$name: it is not set, or empty"
    printf '%s %s\n' "$name" "$(printf '%s' "$value" | base64 | tr -d '\n')"
  done
}

# Which argument, counted after the command's own two words, names a file.
case "$(command_words "$@")" in
  'credential provision') FILE_AT=2 ;;
  'credential rotate') FILE_AT=3 ;;
  *) FILE_AT=0 ;;
esac

SOURCE=''
NAMES=''
seen=-2
previous=''
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  case "$previous" in
    --from-env) NAMES="$NAMES $argument" ;;
    --expires | --host | --recipient | --state-dir | --run-dir) ;;
    *)
      case "$argument" in
        --from-env=*) NAMES="$NAMES ${argument#*=}" ;;
        -?*) ;;
        *)
          seen=$((seen + 1))
          [ "$seen" -ne 2 ] || SOURCE=$argument
          if [ "$seen" -eq "$FILE_AT" ] && [ "$argument" != - ]; then
            file=$(file_from_caller "$argument")
            if [ -f "$file" ]; then
              [ -r "$file" ] || die "Cannot read \"$argument\": permission denied"
              exec <"$file"
              argument=-
            fi
          fi
          ;;
      esac
      ;;
  esac
  previous=$argument
  set -- "$@" "$argument"
  count=$((count - 1))
done

# A pipe, not a file: what it holds is on no disk but the tool's own.
if [ "$(command_words "$@")" = 'credential import' ]; then
  case "$SOURCE" in
    gh | npmrc | netrc) STORE=$(tool_store "$SOURCE") ;;
    *) STORE=$(variables "$NAMES") ;;
  esac
  exec <<END
$STORE
END
fi
