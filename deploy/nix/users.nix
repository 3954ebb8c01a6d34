# SPDX-License-Identifier: Apache-2.0
# The users of deploy/systemd/sysusers.conf: name → description.
let
  lines = builtins.filter builtins.isString
    (builtins.split "\n" (builtins.readFile ../systemd/sysusers.conf));
  parse = builtins.match ''u ([^ ]+) - "([^"]*)" .*'';
  users = builtins.filter (found: found != null) (map parse lines);
in
builtins.listToAttrs (map (found: {
  name = builtins.elemAt found 0;
  value = builtins.elemAt found 1;
}) users)
