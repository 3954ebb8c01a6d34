#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes what compose.yaml mounts as secrets: `secrets.sh DIR NAME`, NAME as in HOMESERVER_NAME. What is there already stays.
set -eu
dir=${1:?"usage: secrets.sh DIR NAME"}
name=${2:?"usage: secrets.sh DIR NAME"}
umask 077
mkdir -p "$dir"

# 32 random bytes, in letters and digits.
random() {
  od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'
}

# Writes its input to a file of that name, unless it is there. Containers read it as users of their own.
keep() {
  [ -e "$dir/$1" ] || { cat >"$dir/$1.new" && chmod "$2" "$dir/$1.new" && mv "$dir/$1.new" "$dir/$1"; }
}

random | keep registration-token 600
random | keep postgres-password 644
token=$(cat "$dir/registration-token")
password=$(cat "$dir/postgres-password")

keep continuwuity.toml 644 <<END
[global]
registration_token = "$token"
END

keep synapse-log.yaml 644 <<END
version: 1
handlers:
  console: {class: logging.StreamHandler}
root: {level: WARNING, handlers: [console]}
END

keep synapse.yaml 644 <<END
server_name: "$name"
report_stats: false
listeners:
  - port: 8008
    type: http
    bind_addresses: ["0.0.0.0"]
    x_forwarded: true
    resources: [{names: [client]}]
database:
  name: psycopg2
  args: {host: postgres, user: synapse, dbname: synapse, password: "$password"}
log_config: /run/secrets/synapse-log.yaml
media_store_path: /data/media
signing_key_path: /data/signing.key
trusted_key_servers: []
default_room_version: "11"
enable_registration: true
registration_requires_token: true
registration_shared_secret: "$(random)"
macaroon_secret_key: "$(random)"
form_secret: "$(random)"
END
