#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nix_usr.sh LINK COMMAND…: runs COMMAND where /usr is what it is on NixOS with deploy/nix: a tree of links into /nix/store.
# LINK "store" adds the link by which sandboxes find the store; anything else leaves it out. In a mount namespace of its own.
set -eu
link=$1
shift
mount -t tmpfs -o mode=755 tmpfs /nix
host=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-host
mkdir -p "$host"
mount --bind /usr "$host"
# This shell's own programs are gone for a moment.
# shellcheck disable=SC2016
exec "$host/bin/perl" -e '
  my ($host, $link, @command) = @ARGV;
  system("$host/bin/mount", qw(-t tmpfs -o mode=755 tmpfs /usr)) == 0 or die "mount";
  for my $path (glob("$host/*")) { symlink($path, "/usr/" . ($path =~ s|.*/||r)) or die "$path: $!" }
  mkdir("/usr/nix") and ($link ne "store" or symlink("/nix/store", "/usr/nix/store")) or die "store: $!";
  exec(@command) or die "$command[0]: $!";
' "$host" "$link" "$@"
