# SPDX-License-Identifier: Apache-2.0
# Bureau on NixOS: the units are those of deploy/systemd, as they stand there. Here is only what a machine says of itself, and
# the /usr that they see.
flake:
{ config, lib, pkgs, ... }:
let
  cfg = config.services.bureau;
  usr = cfg.package.usr.override { extra = cfg.programs; };
  inherit (lib) mkEnableOption mkIf mkMerge mkOption types;
  # `usr` alone: PATH of a unit is its programs.
  inUsr = {
    path = [ usr ];
    serviceConfig.BindReadOnlyPaths = [ "${usr}:/usr" ];
    restartIfChanged = true;
  };
  started = inUsr // { wantedBy = [ "multi-user.target" ]; };
  isSecretPath = path: lib.hasPrefix "/" path && !lib.hasPrefix builtins.storeDir path;
in
{
  options.services.bureau = {
    enable = mkEnableOption "Bureau's launcher and daemon on this machine";
    package = mkOption {
      type = types.package;
      default = flake.packages.${pkgs.stdenv.hostPlatform.system}.default;
      defaultText = "the package of this flake";
      description = "The release that runs.";
    };
    machine = mkOption {
      type = types.strMatching "@[a-z0-9._=/-]+:[A-Za-z0-9.:-]+";
      example = "@bureau/fleet/dev/machine/desk:example.org";
      description = "This machine's account: `user_id` in its session file.";
    };
    serverName = mkOption {
      type = types.strMatching "[A-Za-z0-9.:-]+";
      example = "example.org";
      description = "The homeserver's name, which stands behind the colon of accounts.";
    };
    sessionFile = mkOption {
      type = types.str;
      default = "/etc/bureau/machine-session.json";
      description = "The machine's Matrix session, a secret (root, 0600): not in the store, which everybody reads.";
    };
    settingsFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/etc/bureau/daemon.json";
      description = "What `bureau config daemon` printed, a secret; without it there is no page, and nobody is notified.";
    };
    web.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the files of the web page are served to the daemon.";
    };
    homeserver = {
      enable = mkEnableOption "the embedded homeserver, with a copy of its database each night";
      listen = mkOption {
        type = types.strMatching "127\\.[0-9.]+:[0-9]+|\\[::1]:[0-9]+";
        default = "127.0.0.1:6167";
        description = "Its address, on loopback; a reverse proxy brings others to it.";
      };
    };
    programs = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.python3 ]";
      description = "Further programs below /usr for sandboxes whose template names no environment.";
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = lib.hasSuffix ":${cfg.serverName}" cfg.machine;
          message = "services.bureau.machine is an account of services.bureau.serverName: it ends with \":${cfg.serverName}\"";
        }
        {
          assertion = isSecretPath cfg.sessionFile && (cfg.settingsFile == null || isSecretPath cfg.settingsFile);
          message = "services.bureau.sessionFile and settingsFile are secrets: absolute paths outside of the store";
        }
      ];
      environment.systemPackages = [ cfg.package ];
      environment.etc."bureau/bureau.env".text = ''
        BUREAU_MACHINE=${cfg.machine}
        BUREAU_SERVER_NAME=${cfg.serverName}
        BUREAU_LISTEN=${cfg.homeserver.listen}
      '';
      users.groups.bureau = { };
      users.users = builtins.mapAttrs
        (_: description: { inherit description; isSystemUser = true; group = "bureau"; })
        (import ./users.nix);
      systemd.packages = [ cfg.package ];
      systemd.tmpfiles.packages = [ cfg.package ];
      systemd.services.bureau-launcher = started;
      systemd.services.bureau-daemon = started // {
        serviceConfig = inUsr.serviceConfig // {
          StandardInput = "file:${cfg.sessionFile}";
        } // lib.optionalAttrs (cfg.settingsFile != null) {
          LoadCredential = "daemon:${cfg.settingsFile}";
        };
      };
    }
    (mkIf cfg.web.enable { systemd.services.bureau-web = started; })
    (mkIf cfg.homeserver.enable {
      systemd.services.bureau-homeserver = started;
      systemd.services.bureau-homeserver-backup = inUsr;
      systemd.timers.bureau-homeserver-backup.wantedBy = [ "timers.target" ];
    })
  ]);
}
