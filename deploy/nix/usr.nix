# SPDX-License-Identifier: Apache-2.0
# The /usr that Bureau's processes and sandboxes see on NixOS: links to these programs, and one to the store that they lead
# into, by which sandboxes find it (STORE_OF_USR in src/sandbox/arguments.ts). `extra`: more, for agents without an environment.
{ buildEnv, bash, bubblewrap, coreutils, curl, diffutils, findutils, gawk, git, gnugrep, gnused, gnutar, gzip, jq
, openssh, perl, procps, tmux, util-linux, which, extra ? [ ] }:
buildEnv {
  name = "bureau-usr";
  paths = [
    bash
    bubblewrap
    coreutils
    curl
    diffutils
    findutils
    gawk
    git
    gnugrep
    gnused
    gnutar
    gzip
    jq
    openssh
    perl
    procps
    tmux
    util-linux
    which
  ] ++ extra;
  pathsToLink = [ "/bin" "/share" "/libexec" ];
  ignoreCollisions = true;
  postBuild = ''
    mkdir -p $out/nix
    ln -s /nix/store $out/nix/store
  '';
}
