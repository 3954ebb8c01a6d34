# SPDX-License-Identifier: Apache-2.0
# deploy/nix/module.nix evaluated by nixpkgs' own lib, with options of NixOS that take anything: what it would set.
{ lib, settings }:
let
  nixpkgs = import lib;
  inherit (nixpkgs) mkOption types;
  any = mkOption { type = types.attrsOf types.anything; default = { }; };
  list = mkOption { type = types.listOf types.anything; default = [ ]; };
  nixos.options = {
    assertions = list;
    environment = { systemPackages = list; etc = any; };
    users = { users = any; groups = any; };
    systemd = { packages = list; tmpfiles.packages = list; services = any; timers = any; };
  };
  program = name: { type = "derivation"; inherit name; outPath = "/nix/store/${name}"; };
  package = program "bureau" // { usr.override = { extra }: program "usr" // { inherit extra; }; };
  evaluated = nixpkgs.evalModules {
    modules = [
      nixos
      (import ../../deploy/nix/module.nix { packages.test.default = package; })
      { _module.args.pkgs.stdenv.hostPlatform.system = "test"; }
      { services.bureau = builtins.fromJSON settings; }
    ];
  };
  inherit (evaluated) config;
  failing = builtins.filter (one: !one.assertion) config.assertions;
in
{
  wrong = map (one: one.message) failing;
  inherit (config.users) users groups;
  inherit (config.systemd) services timers;
  packages = map toString config.systemd.packages;
  etc = config.environment.etc;
}
