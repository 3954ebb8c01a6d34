# SPDX-License-Identifier: Apache-2.0
# A release of Bureau: what `deno task bundle` builds, the units of deploy/systemd, and `bureau`. Nothing is fetched that
# deno.lock has no hash of, but for the bundler of Deno, which has its own below.
{ lib, stdenvNoCC, fetchurl, writeText, callPackage, deno }:
let
  root = ../..;
  usr = callPackage ./usr.nix { };
  lock = builtins.fromJSON (builtins.readFile (root + "/deno.lock"));
  # `deno bundle` of Deno 2.9 runs this version of esbuild, and no other.
  esbuild = {
    version = "0.25.5";
    x86_64-linux = {
      cpu = "x64";
      hash = "sha512-uhj8N2obKTE6pSZ+aMUbqq+1nXxNjZIIjCjGLfsWvVpy7gKCOL6rsY1MhRh9zLtUtAI7vpgLMK6DxjO8Qm9lJw==";
    };
    aarch64-linux = {
      cpu = "arm64";
      hash = "sha512-Z9kfb1v6ZlGbWj8EJk9T6czVEjjq2ntSYLY2cw6pAZl4oKtfgQuS4HOq41M/BcoLPzrUbNd+R4BXFyH//nHxVg==";
    };
  };
  bundler = esbuild.${stdenvNoCC.hostPlatform.system};
  fetch = { url, hash, ... }: fetchurl { inherit url hash; };
  # Lines `tarball directory`, as build.sh unpacks them into Deno's cache.
  packages = writeText "bureau-npm" (lib.concatMapStrings
    (package: "${fetch package} ${package.name}/${package.version}\n")
    (import ./npm.nix lock));
in
assert lib.assertMsg (lib.versionAtLeast deno.version "2.9" && lib.versionOlder deno.version "2.10")
  "Bureau is built by Deno 2.9; this nixpkgs has ${deno.version}: name another deno by package.override";
stdenvNoCC.mkDerivation {
  pname = "bureau";
  version = builtins.head
    (builtins.match ''.*VERSION = "([^"]*)".*'' (builtins.readFile (root + "/src/lib/version.ts")));
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      (root + "/agent")
      (root + "/deno.json")
      (root + "/deno.lock")
      (root + "/deploy")
      (root + "/src")
      (root + "/tasks")
    ];
  };
  nativeBuildInputs = [ deno ];
  inherit packages;
  esbuild = fetch {
    url = "https://registry.npmjs.org/@esbuild/linux-${bundler.cpu}/-/linux-${bundler.cpu}-${esbuild.version}.tgz";
    inherit (bundler) hash;
  };
  esbuildDirectory = "esbuild-${esbuild.version}-1";
  esbuildName = "esbuild-linux-${bundler.cpu}";
  inherit usr;
  buildPhase = "sh deploy/nix/build.sh";
  installPhase = "sh deploy/nix/install.sh";
  # Deno carries data behind its ELF sections.
  dontStrip = true;
  passthru = { inherit usr; };
  meta = {
    description = "A workshop for teams of AI agents on your own machines";
    license = lib.licenses.asl20;
    platforms = [ "x86_64-linux" "aarch64-linux" ];
    mainProgram = "bureau";
  };
}
