# SPDX-License-Identifier: Apache-2.0
# deploy/nix/package.nix with this machine's programs in place of nixpkgs', and Deno's cache in place of npm: what it
# builds is built as it would be there, without a network. `host`: where this machine's /usr is in the store.
{ root, deno, cache, host, system }:
let
  build = name: script: attributes:
    derivation ({
      inherit name system;
      builder = "/bin/sh";
      args = [ "-euc" script ];
      PATH = "/usr/bin:/bin";
    } // attributes);
  lib = {
    concatMapStrings = make: list: builtins.concatStringsSep "" (map make list);
    assertMsg = condition: message: condition || throw message;
    versionAtLeast = one: other: builtins.compareVersions one other >= 0;
    versionOlder = one: other: builtins.compareVersions one other < 0;
    licenses.asl20 = "Apache-2.0";
    fileset = {
      unions = paths: paths;
      toSource = { root, fileset }:
        let
          isIn = path: dir: path == dir || builtins.substring 0 (builtins.stringLength dir + 1) path == "${dir}/";
          isWanted = path: builtins.any (one: isIn path (toString one) || isIn (toString one) path) fileset;
        in builtins.path { name = "source"; path = root; filter = path: _: isWanted (toString path); };
    };
  };
  # https://registry.npmjs.org/NAME/-/FILE-VERSION.tgz, of which the cache has NAME/VERSION.
  fetchurl = { url, hash }:
    let
      parts = builtins.match "https://registry\\.npmjs\\.org/(.*)/-/(.*)\\.tgz" url;
      name = builtins.elemAt parts 0;
      file = builtins.elemAt parts 1;
      version = builtins.substring (builtins.stringLength (baseNameOf name) + 1) 99 file;
    in
    assert builtins.match "sha512-[A-Za-z0-9+/]{86}==" hash != null;
    build "${baseNameOf name}.tgz" ''
      case $name in
        linux-*)
          mkdir -p package/bin
          cp $cache/dl/esbuild-$version-1/esbuild-* package/bin/esbuild
          tar -czf $out package ;;
        *) tar -czf $out --transform 's|^\.|package|' -C "$cache/npm/registry.npmjs.org/$directory/$version" . ;;
      esac
    '' { inherit cache version; directory = name; };
  usr = build "usr" ''
    mkdir -p $out/nix
    for path in /usr/*; do ln -s "$host/''${path##*/}" $out/; done
    ln -s /nix/store $out/nix/store
  '' { inherit host; };
in
import (root + "/deploy/nix/package.nix") {
  inherit lib fetchurl;
  deno = build "deno" "mkdir -p $out/bin; ln -s $program $out/bin/deno" { program = deno; } // { version = "2.9.6"; };
  writeText = name: text: build name "printf %s \"$text\" >$out" { inherit text; };
  callPackage = _: _: usr;
  stdenvNoCC = {
    hostPlatform = { inherit system; };
    mkDerivation = { pname, version, src, nativeBuildInputs, meta, passthru, dontStrip, buildPhase, installPhase, ... }@all:
      build "${pname}-${version}" ''
        cp -R $src checkout
        chmod -R u+w checkout
        cd checkout
        ${buildPhase}
        ${installPhase}
      '' (builtins.removeAttrs all [ "meta" "passthru" "nativeBuildInputs" "pname" ] // {
        PATH = builtins.concatStringsSep ":" (map (input: "${input}/bin") nativeBuildInputs ++ [ "/usr/bin" "/bin" ]);
      });
  };
}
