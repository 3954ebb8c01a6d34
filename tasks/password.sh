# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau: puts the file of --password-file on stdin, as the CLI reads nothing of a person's by itself and no
# password is ever an argument. Sets "$@".

previous=''
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  file=''
  case "$previous|$argument" in
    '--password-file|-' | *'|--password-file=-') ;;
    '--password-file|'*) file=$argument given=- ;;
    *'|--password-file='*) file=${argument#*=} given=--password-file=- ;;
  esac
  previous=$argument
  if [ -n "$file" ]; then
    path=$(file_from_caller "$file")
    if [ ! -f "$path" ] || [ ! -r "$path" ]; then
      die "Cannot read \"$file\": there is no such file, or it is not yours" "give a file whose first line is the password"
    fi
    exec <"$path"
    argument=$given
  fi
  set -- "$@" "$argument"
  count=$((count - 1))
done
