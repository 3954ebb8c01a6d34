# SPDX-License-Identifier: Apache-2.0
# What one needs to work on Bureau. Sandboxes are made of programs below /usr: on NixOS run `up` by the package's `bureau`.
{ mkShell, age, bubblewrap, curl, deno, git, jq, nodejs, openssh, perl, shellcheck, tmux, util-linux }:
mkShell {
  packages = [
    age
    bubblewrap
    curl
    deno
    git
    jq
    nodejs
    openssh
    perl
    shellcheck
    tmux
    util-linux
  ];
}
