#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tells a Synapse the registration token that setup.sh made, as its administrator:
# `registration-token.sh URL LOCALPART PASSWORD_FILE TOKEN_FILE`. Needs curl and jq.
set -eu
usage='usage: registration-token.sh URL LOCALPART PASSWORD_FILE TOKEN_FILE'
url=${1:?"$usage"}
user=${2:?"$usage"}
password=${3:?"$usage"}
token=${4:?"$usage"}

# Secrets go through stdin, so that no command line shows them: the body, and the header of a configuration.
post() {
  curl --silent --show-error --header 'content-type: application/json' "$@"
}
login=$(jq -n --arg user "$user" --rawfile password "$password" \
  '{type: "m.login.password", identifier: {type: "m.id.user", user: $user}, password: ($password | rtrimstr("\n"))}' |
  post --data-binary @- "$url/_matrix/client/v3/login")
access=$(printf '%s' "$login" | jq -r '.access_token // empty')
[ -n "$access" ] || { printf 'error: %s cannot log in: %s\n' "$user" "$login" >&2; exit 1; }
as() {
  printf 'header = "authorization: Bearer %s"\n' "$access" | post --config - "$@"
}

umask 077
body=$(mktemp)
trap 'rm -f "$body"; as --request POST --data "{}" "$url/_matrix/client/v3/logout" >/dev/null' EXIT
jq -n --rawfile token "$token" '{token: ($token | rtrimstr("\n"))}' >"$body"
reply=$(as --data-binary "@$body" "$url/_synapse/admin/v1/registration_tokens/new")
case $(printf '%s' "$reply" | jq -r 'if has("token") then "made" else .error end') in
  made) echo "accounts can be registered with the token in $token" ;;
  *"already exists"*) echo "the token in $token is known already" ;;
  *) printf 'error: %s\n' "$reply" >&2; exit 1 ;;
esac
