# SPDX-License-Identifier: Apache-2.0
# What deno.lock names of npm, each with the hash that it must have: { name, version, url, hash }. A package that stands there
# several times, with other peers, is one.
lock:
let
  parse = key: builtins.match "(@?[^@]+)@([^_]+)(_.*)?" key;
  package = key:
    let
      parts = parse key;
      name = builtins.elemAt parts 0;
      version = builtins.elemAt parts 1;
      file = "${baseNameOf name}-${version}.tgz";
    in {
      name = "${name}@${version}";
      value = {
        inherit name version;
        url = "https://registry.npmjs.org/${name}/-/${file}";
        hash = lock.npm.${key}.integrity;
      };
    };
in
assert lock.version == "5";
builtins.attrValues (builtins.listToAttrs (map package (builtins.attrNames lock.npm)))
