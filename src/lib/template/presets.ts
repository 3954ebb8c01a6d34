// SPDX-License-Identifier: Apache-2.0

/**
 * Destinations that belong together, so that a first `npm install` is one line of policy. The hosts are
 * those that each service's own documentation tells firewalls to let through.
 */
export const EGRESS_PRESETS: Readonly<Record<string, readonly string[]>> = {
  npm: ["registry.npmjs.org:443"],
  pypi: ["pypi.org:443", "files.pythonhosted.org:443"],
  crates: ["index.crates.io:443", "static.crates.io:443", "crates.io:443"],
  go: ["proxy.golang.org:443", "sum.golang.org:443"],
  maven: ["repo.maven.apache.org:443", "repo1.maven.org:443"],
  rubygems: ["rubygems.org:443", "index.rubygems.org:443"],
  debian: [
    "deb.debian.org:80",
    "deb.debian.org:443",
    "security.debian.org:80",
    "security.debian.org:443",
  ],
  github: [
    "github.com:443",
    "api.github.com:443",
    "codeload.github.com:443",
    "raw.githubusercontent.com:443",
    "objects.githubusercontent.com:443",
    "release-assets.githubusercontent.com:443",
  ],
  anthropic: ["api.anthropic.com:443"],
  openai: ["api.openai.com:443"],
  gemini: ["generativelanguage.googleapis.com:443"],
};

const PREFIX = "preset:";

/** The entry's preset, null when it names one that there is not, undefined when it names none. */
export function presetOf(entry: string): readonly string[] | null | undefined {
  if (!entry.startsWith(PREFIX)) return undefined;
  const name = entry.slice(PREFIX.length);
  return Object.hasOwn(EGRESS_PRESETS, name) ? EGRESS_PRESETS[name]! : null;
}
