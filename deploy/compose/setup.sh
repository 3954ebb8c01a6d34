#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the directory that a homeserver of compose.yaml lives in: .env, site/, secrets/, data/. Secrets that are there
# stay; the rest follows the arguments, so run it again to change them.
set -eu

usage() {
  cat >&2 <<'END'
usage: setup.sh DIR continuwuity|synapse NAME [options]

  NAME                the name in every user id, such as example.org; it can never be changed
  --url URL           where clients find the homeserver (https://NAME)
  --port PORT         on loopback, for the reverse proxy (6167)
  --turn HOST         run coturn too; clients reach it by this name
  --turn-address IP   the address of this machine that HOST names (needed with --turn)
  --user UID:GID      whose files and programs these are (yours; for root 991:991; 0:0 with a rootless engine)
END
  exit 2
}

[ $# -ge 3 ] || usage
dir=$1 kind=$2 name=$3
shift 3
case $kind in continuwuity | synapse) ;; *) usage ;; esac
case $dir$name in *[\ \"\'\$\`\\]*) echo "error: no quotes, blanks, dollars or backslashes in DIR and NAME" >&2; exit 2 ;; esac
url=https://$name port=6167 turn='' turn_address=''
if [ "$(id -u)" = 0 ]; then user=991:991; else user=$(id -u):$(id -g); fi
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --url) url=${2%/} ;;
    --port) port=$2 ;;
    --turn) turn=$2 ;;
    --turn-address) turn_address=$2 ;;
    --user) user=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ -z "$turn" ] || [ -n "$turn_address" ] || { echo "error: --turn needs --turn-address" >&2; exit 2; }
deploy=$(cd -- "$(dirname -- "$0")" && pwd)

umask 077
mkdir -p "$dir/secrets" "$dir/site" "$dir/data/$kind"
dir=$(cd -- "$dir" && pwd)
case $kind in
  continuwuity) mkdir -p "$dir/data/continuwuity-backups" ;;
  synapse) mkdir -p "$dir/data/postgres" ;;
esac

if [ -e "$dir/.env" ]; then
  was=$(sed -n 's/^HOMESERVER_NAME=//p' "$dir/.env")
  [ "$was" = "$name" ] || { echo "error: $dir is the homeserver of $was: choose another directory" >&2; exit 1; }
fi

# Its input, in the place of a file of that name.
write() {
  cat >"$dir/$1.new" && mv "$dir/$1.new" "$dir/$1"
}
# 32 random bytes in hexadecimal, unless the file is there.
secret() {
  [ -e "$dir/secrets/$1" ] || od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' | write "secrets/$1"
}
for one in registration-token registration-secret macaroon-secret form-secret turn-secret postgres-password; do
  secret "$one"
done
# As Synapse writes one: algorithm, name, seed.
[ -e "$dir/secrets/signing-key" ] ||
  printf 'ed25519 a_bureau %s\n' "$(head -c 32 /dev/urandom | base64 | tr -d '=\n')" | write secrets/signing-key
printf 'postgres:*:synapse:synapse:%s\n' "$(cat "$dir/secrets/postgres-password")" | write secrets/pgpass

turn_uris='[]' profiles=$kind
if [ -n "$turn" ]; then
  profiles=$kind,turn
  turn_uris="[\"turn:$turn:3478?transport=udp\",\"turn:$turn:3478?transport=tcp\"]"
fi

write .env <<END
COMPOSE_FILE=$deploy/compose.yaml
COMPOSE_PROFILES=$profiles
HOMESERVER_DIR=$dir
HOMESERVER_NAME=$name
HOMESERVER_URL=$url
HOMESERVER_PORT=$port
HOMESERVER_USER=$user
TURN_ADDRESS=$turn_address
TURN_URIS='$turn_uris'
END

write site/site.yaml <<END
server_name: "$name"
public_baseurl: "$url/"
turn_uris: $turn_uris
END

[ -z "$turn" ] || write site/turnserver.conf <<END
use-auth-secret
static-auth-secret=$(cat "$dir/secrets/turn-secret")
realm=$turn
external-ip=$turn_address
listening-port=3478
min-port=49160
max-port=49199
fingerprint
stale-nonce=600
# A call of Bureau is one machine and one viewer: what else would use a relay that much?
user-quota=12
total-quota=40
no-tcp-relay
no-tls
no-dtls
no-cli
no-multicast-peers
no-software-attribute
# Nobody reaches a private address through this relay (RFC 8656 §21.4).
denied-peer-ip=0.0.0.0-0.255.255.255
denied-peer-ip=10.0.0.0-10.255.255.255
denied-peer-ip=100.64.0.0-100.127.255.255
denied-peer-ip=127.0.0.0-127.255.255.255
denied-peer-ip=169.254.0.0-169.254.255.255
denied-peer-ip=172.16.0.0-172.31.255.255
denied-peer-ip=192.0.0.0-192.0.0.255
denied-peer-ip=192.168.0.0-192.168.255.255
denied-peer-ip=198.18.0.0-198.19.255.255
denied-peer-ip=224.0.0.0-255.255.255.255
denied-peer-ip=::1
denied-peer-ip=64:ff9b::-64:ff9b::ffff:ffff
denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255
denied-peer-ip=2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff
denied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
denied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff
log-file=stdout
simple-log
pidfile=/tmp/turnserver.pid
userdb=/tmp/turndb
END

# Files that containers read belong to the user that they run as; .env holds no secret.
[ "$(id -u)" != 0 ] || chown -R "$user" "$dir/secrets" "$dir/site" "$dir/data"
echo "$dir is ready: cd $dir && docker compose up --detach --wait"
