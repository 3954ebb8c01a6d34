# SPDX-License-Identifier: Apache-2.0
# Sourced where a launcher is started that lives for one sandbox: as which user, and from where it is read.

# The launcher's own user where root starts it; the same as src/supervisor/directories.ts gives it.
LAUNCHER_UID=64702
LAUNCHER_GID=64700

as_launcher() {
  /usr/bin/setpriv --reuid=$LAUNCHER_UID --regid=$LAUNCHER_GID --clear-groups --no-new-privs -- "$@"
}

launcher_can_read() {
  # shellcheck disable=SC2016
  as_launcher /bin/sh -c 'test -x "$1" && test -r "$2"' sh "$1" "$2"
}

# Sets PRIVILEGE, and for root DENO and DIST to copies that the launcher's user can read. $@: more for setpriv, which sets a
# parent-death signal last: a change of user would take it back.
prepare_launcher() {
  PRIVILEGE="/usr/bin/setpriv $* --no-new-privs --"
  [ "$(id -u)" -eq 0 ] || return 0
  PRIVILEGE="/usr/bin/setpriv $* --reuid=$LAUNCHER_UID --regid=$LAUNCHER_GID --clear-groups --no-new-privs --"
  # A user without a home, and a cache that nobody, root neither, can make; on a terminal Deno says so when it can keep no cache.
  HOME=/nonexistent
  DENO_DIR=/dev/null/none
  [ ! -d "$STATE/launcher" ] || DENO_DIR=$STATE/launcher/deno
  DENO_FLAGS=--no-code-cache
  export HOME DENO_DIR
  if launcher_can_read "$DENO" "$DIST/runtime/launcher.js"; then return 0; fi
  if cmp -s "$DIST/runtime/launcher.js" "$STATE/runtime/launcher.js" &&
    launcher_can_read "$STATE/runtime/deno" "$STATE/runtime/launcher.js"; then
    DENO=$STATE/runtime/deno
    DIST=$STATE
    return 0
  fi
  die "Cannot start a sandbox: its own user can't read \"$DENO\" and \"$DIST\"" "run \`deno task up\` once, which puts both where every user can read them; or run this as an ordinary user"
}

# Sets HOSTDIR: where the host of this operator's workers is, or would be (src/agent/host). A Unix socket's path has 107 bytes,
# and a sandbox sees no /run of the machine's: so not in TMPDIR, nor in RUN.
find_host() {
  owner=$(id -u)
  HOSTDIR=/tmp/bureau-w$owner-$(printf '%s' "$STATE" | cksum | cut -d ' ' -f 1)
  [ "$owner" -ne 0 ] || owner=$LAUNCHER_UID
  # /tmp is everybody's: whoever made it could be the host.
  case "$(stat -c '%u %a %F' -- "$HOSTDIR" 2>/dev/null)" in
    '' | "$owner 700 directory") ;;
    *) die "Cannot use \"$HOSTDIR\": it belongs to somebody else" "remove it, or have its owner do so" ;;
  esac
}
