# SPDX-License-Identifier: Apache-2.0
# Sourced by tasks/bureau for `login` and `logout`: the one time that a session is written, and that a homeserver may be
# reached at which nobody has a session yet. Sets SESSION, LOGINDIR and HOMESERVER, and "$@".

check_login
SESSION=$LOGIN
LOGINDIR=${SESSION%/*}
(umask 077 && mkdir -p "$LOGINDIR") 2>/dev/null || die "Cannot make \"$LOGINDIR\": permission denied" "name another file: BUREAU_SESSION=FILE"

TARGET=''
GIVEN=''
case "$COMMAND" in
  logout*) HOMESERVER=$(cat "$LOGINDIR/homeserver" 2>/dev/null) || HOMESERVER='' ;;
  *)
    previous=''
    for argument in "$@"; do
      case "$previous|$argument" in
        '--homeserver|'*) GIVEN=$argument ;;
        *'|--homeserver='*) GIVEN=${argument#*=} ;;
        '--fleet|'* | '--password-file|'* | '--state-dir|'* | '--run-dir|'*) ;;
        # Of a full user id; --homeserver goes before it.
        *'|@'*:*) TARGET=${argument#*:} ;;
      esac
      previous=$argument
    done
    TARGET=${GIVEN:-$TARGET}
    case "$TARGET" in
      '') HOMESERVER=$(cat "$STATE/operator/homeserver" 2>/dev/null) || HOMESERVER='' ;;
      *://*) HOMESERVER=$(address_of "$TARGET") ;;
      *) HOMESERVER=$(address_of "https://$TARGET") ;;
    esac
    ;;
esac

# A server's name: it says itself where its homeserver is, which is another grant.
case "$TARGET" in
  '' | *://*) ;;
  *)
    [ -n "$HOMESERVER" ] || die "Cannot find a homeserver: \"$TARGET\" is no name of a server" "for example --homeserver example.org, or --homeserver https://matrix.example.org"
    # A password may be on stdin.
    url=$(LOGINDIR='' exec_role bureau --state-dir "$STATE" --run-dir "$RUN" discover-homeserver "$TARGET" </dev/null) || exit $?
    HOMESERVER=$(address_of "$url")
    count=$#
    while [ "$count" -gt 0 ]; do
      argument=$1
      shift
      case "$GIVEN|$argument" in
        '|'*) ;;
        "$GIVEN|$GIVEN") argument=$url ;;
        "$GIVEN|--homeserver=$GIVEN") argument=--homeserver=$url ;;
      esac
      set -- "$@" "$argument"
      count=$((count - 1))
    done
    [ -n "$GIVEN" ] || set -- "$@" --homeserver "$url"
    ;;
esac
