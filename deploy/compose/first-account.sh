#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Continuwuity wants its administrator before anybody else registers, with a token that it prints once. This reads the
# token from the log and registers that account: `first-account.sh URL LOCALPART PASSWORD_FILE <LOG`. Needs curl and jq.
set -eu
url=${1:?"usage: first-account.sh URL LOCALPART PASSWORD_FILE <LOG"}
user=${2:?"usage: first-account.sh URL LOCALPART PASSWORD_FILE <LOG"}
file=${3:?"usage: first-account.sh URL LOCALPART PASSWORD_FILE <LOG"}

escape=$(printf '\033')
token=$(sed "s/$escape\[[0-9;]*m//g" | sed -n 's/.*using the registration token \([^ ]*\) .*/\1/p' | tail -n 1)
[ -n "$token" ] || { echo "error: the log has no first token: is there an account already?" >&2; exit 1; }

# The body comes from stdin, so that no command line shows the password.
register() {
  curl --silent --show-error --header 'content-type: application/json' --data-binary @- "$url/_matrix/client/v3/register"
}
account=$(jq -n --arg user "$user" --rawfile password "$file" \
  '{username: $user, password: ($password | rtrimstr("\n")), inhibit_login: true}')
session=$(printf '%s' "$account" | register | jq -r '.session // empty')
reply=$(printf '%s' "$account" | jq --arg token "$token" --arg session "$session" \
  '.auth = {type: "m.login.registration_token", token: $token, session: $session}' | register)
# Some ask for a last stage that needs nothing.
if [ "$(printf '%s' "$reply" | jq -r 'has("user_id")')" != true ]; then
  reply=$(printf '%s' "$account" | jq --arg session "$session" '.auth = {type: "m.login.dummy", session: $session}' | register)
fi
printf '%s' "$reply" | jq -er '.user_id' || { printf 'error: %s\n' "$reply" >&2; exit 1; }
