# SPDX-License-Identifier: Apache-2.0
{
  description = "Bureau: a workshop for teams of AI agents on your own machines";

  # A release of nixpkgs with Deno 2.9. Who builds from this keeps a flake.lock: it pins nixpkgs, and all else is pinned here
  # (npm packages by deno.lock, the bundler in deploy/nix/package.nix).
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      each = make:
        nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ]
          (system: { default = make nixpkgs.legacyPackages.${system}; });
    in {
      devShells = each (pkgs: pkgs.callPackage ./deploy/nix/shell.nix { });
      packages = each (pkgs: pkgs.callPackage ./deploy/nix/package.nix { });
      nixosModules.default = import ./deploy/nix/module.nix self;
    };
}
