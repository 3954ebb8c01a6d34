# SPDX-License-Identifier: Apache-2.0
# What tests/slow/environment_test.ts builds without a network: this machine's bash and a few programs, told by patchelf
# to take their loader and libraries from the store, as those of nixpkgs do. `version` beside this file is what changes.
{
  outputs = { self }:
    let
      system = import ./system.nix;
      version = builtins.readFile ./version;
      make = name: script: attributes:
        derivation ({
          inherit name system;
          builder = "/bin/sh";
          args = [ "-euc" script ];
          PATH = "/usr/bin:/bin";
        } // attributes);
      libraries = make "libraries-1.0" ''
        mkdir -p $out/lib
        for program in bash script env ls cat sleep; do ldd /usr/bin/$program; done |
          sed -n 's|^[^/]*\(/[^ ]*\) .*|\1|p' | sort -u | while read -r file; do cp -L "$file" $out/lib/; done
      '' { };
      programs = what: names: make "${what}-1.0" ''
        mkdir -p $out/bin
        for program in ${names}; do
          cp -L /usr/bin/$program $out/bin/
          chmod u+w $out/bin/$program
          patchelf --force-rpath --set-interpreter $libraries/lib/ld-linux-*.so.* --set-rpath $libraries/lib $out/bin/$program
        done
      '' { inherit libraries; };
      bash = programs "bash" "bash";
      utilities = programs "utilities" "script env ls cat sleep";
      tools = make "tools-${version}" ''
        mkdir -p $out/bin
        ln -s $bash/bin/bash $out/bin/sh
        for program in $bash/bin/* $utilities/bin/*; do ln -s $program $out/bin/; done
        printf '#!/usr/bin/env sh\necho "tools ${version}"\n' >$out/bin/tools-version
        chmod +x $out/bin/tools-version
      '' { inherit bash utilities; };
      bare = make "bare-1.0" "mkdir -p $out/bin; ln -s $bash/bin/bash $out/bin/sh" { inherit bash; };
    in
    { packages.${system} = { inherit tools bare; }; };
}
