# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `credential …`: a file with a credential comes on stdin, as the CLI reads nothing of a
# person's by itself, and no value is ever an argument.

# Which argument, counted after the command's own two words, names a file.
case "$(command_words "$@")" in
  'credential provision') FILE_AT=2 ;;
  'credential rotate') FILE_AT=3 ;;
  *) FILE_AT=0 ;;
esac

seen=-2
previous=''
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  case "$previous" in
    --expires | --state-dir | --run-dir) ;;
    *)
      case "$argument" in
        -?*) ;;
        *)
          seen=$((seen + 1))
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
