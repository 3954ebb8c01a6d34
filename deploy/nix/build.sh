#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The build of package.nix, where there is no network: Deno's cache made of $packages (lines `tarball directory`) and $esbuild,
# then the bundle. In the checkout.
set -eu
: "${packages:?}" "${esbuild:?}" "${esbuildDirectory:?}" "${esbuildName:?}"
HOME=$PWD/.build
DENO_DIR=$HOME/deno
export HOME DENO_DIR DENO_NO_UPDATE_CHECK=1
while read -r tarball directory; do
  mkdir -p "$DENO_DIR/npm/registry.npmjs.org/$directory"
  # The first component is `package`, as a rule.
  tar -xzf "$tarball" --strip-components=1 -C "$DENO_DIR/npm/registry.npmjs.org/$directory"
done <"$packages"
mkdir -p "$DENO_DIR/dl/$esbuildDirectory"
tar -xzOf "$esbuild" package/bin/esbuild >"$DENO_DIR/dl/$esbuildDirectory/$esbuildName"
chmod 755 "$DENO_DIR/dl/$esbuildDirectory/$esbuildName"
deno run --quiet --cached-only --allow-read --allow-write --allow-env --allow-run tasks/bundle.ts "$PWD/dist"
