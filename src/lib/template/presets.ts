// SPDX-License-Identifier: Apache-2.0

/**
 * Destinations that belong together, so that a first `npm install` is one line of policy. Each holds what
 * downloading needs and no more: the hosts that the service's own documentation names. A preset is data; the
 * reference page `docs/reference/egress-presets.md` is made from it.
 */
export interface EgressPreset {
  /** What it is for, as a person looks for it. */
  readonly brief: string;
  /** Where the hosts are documented. */
  readonly source: string;
  /** `host:port` or `*.suffix:port`. */
  readonly hosts: readonly string[];
}

export const EGRESS_PRESETS: Readonly<Record<string, EgressPreset>> = {
  npm: {
    brief: "npm, pnpm, Yarn and Bun with the public npm registry",
    source: "https://docs.npmjs.com/cli/using-npm/registry",
    hosts: ["registry.npmjs.org:443"],
  },
  yarn: {
    brief: "Yarn's own registry name and its releases",
    source: "https://yarnpkg.com/configuration/yarnrc",
    hosts: ["registry.yarnpkg.com:443", "repo.yarnpkg.com:443"],
  },
  jsr: {
    brief: "JSR packages, for Deno and for npm clients",
    source: "https://jsr.io/docs/npm-compatibility",
    hosts: ["jsr.io:443", "npm.jsr.io:443"],
  },
  pypi: {
    brief: "pip, uv and Poetry with PyPI",
    source: "https://docs.pypi.org/api/index-api/",
    hosts: ["pypi.org:443", "files.pythonhosted.org:443"],
  },
  conda: {
    brief: "conda and mamba: Anaconda's channels and conda-forge",
    source: "https://www.anaconda.com/docs/tools/working-with-conda/channels",
    hosts: ["conda.anaconda.org:443", "repo.anaconda.com:443"],
  },
  crates: {
    brief: "cargo with crates.io",
    source: "https://doc.rust-lang.org/cargo/reference/registries.html",
    hosts: ["index.crates.io:443", "static.crates.io:443", "crates.io:443"],
  },
  rustup: {
    brief: "Rust toolchains",
    source: "https://rust-lang.github.io/rustup/environment-variables.html",
    hosts: ["static.rust-lang.org:443"],
  },
  go: {
    brief: "Go modules, their checksums, and toolchains",
    source: "https://go.dev/ref/mod#module-proxy",
    hosts: ["proxy.golang.org:443", "sum.golang.org:443"],
  },
  maven: {
    brief: "Maven Central",
    source: "https://maven.apache.org/guides/mini/guide-mirror-settings.html",
    hosts: ["repo.maven.apache.org:443", "repo1.maven.org:443"],
  },
  gradle: {
    brief: "Gradle's wrapper and plugins (with `maven` for dependencies)",
    source: "https://docs.gradle.org/current/userguide/gradle_wrapper.html",
    hosts: [
      "services.gradle.org:443",
      "downloads.gradle.org:443",
      "plugins.gradle.org:443",
      "plugins-artifacts.gradle.org:443",
    ],
  },
  nuget: {
    brief: ".NET packages",
    source: "https://learn.microsoft.com/nuget/api/overview",
    hosts: ["api.nuget.org:443"],
  },
  rubygems: {
    brief: "gem and Bundler",
    source: "https://guides.rubygems.org/rubygems-org-compact-index-api/",
    hosts: ["rubygems.org:443", "index.rubygems.org:443"],
  },
  composer: {
    brief: "PHP's Composer with Packagist (archives come from `github`)",
    source: "https://packagist.org/apidoc",
    hosts: ["repo.packagist.org:443", "packagist.org:443"],
  },
  hex: {
    brief: "Elixir and Erlang packages",
    source: "https://hex.pm/docs/mirrors",
    hosts: ["repo.hex.pm:443", "builds.hex.pm:443", "hex.pm:443"],
  },
  debian: {
    brief: "apt on Debian",
    source: "https://www.debian.org/security/ and https://deb.debian.org/",
    hosts: [
      "deb.debian.org:80",
      "deb.debian.org:443",
      "security.debian.org:80",
      "security.debian.org:443",
    ],
  },
  ubuntu: {
    brief: "apt on Ubuntu",
    source: "https://documentation.ubuntu.com/server/reference/",
    hosts: [
      "archive.ubuntu.com:80",
      "archive.ubuntu.com:443",
      "security.ubuntu.com:80",
      "security.ubuntu.com:443",
      "ports.ubuntu.com:80",
    ],
  },
  alpine: {
    brief: "apk on Alpine Linux",
    source: "https://wiki.alpinelinux.org/wiki/Repositories",
    hosts: ["dl-cdn.alpinelinux.org:80", "dl-cdn.alpinelinux.org:443"],
  },
  nix: {
    brief: "Nix's binary cache",
    source: "https://nix.dev/manual/nix/latest/command-ref/conf-file.html#conf-substituters",
    hosts: ["cache.nixos.org:443"],
  },
  docker: {
    brief: "pulls from Docker Hub",
    source: "https://docs.docker.com/desktop/setup/allow-list/",
    hosts: [
      "registry-1.docker.io:443",
      "auth.docker.io:443",
      "production.cloudflare.docker.com:443",
      "production.cloudfront.docker.com:443",
      "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com:443",
    ],
  },
  huggingface: {
    brief: "models and data sets from the Hugging Face Hub",
    source: "https://huggingface.co/docs/huggingface_hub/guides/download",
    // Files come from several content networks below hf.co, chosen for each download.
    hosts: ["huggingface.co:443", "*.huggingface.co:443", "*.hf.co:443"],
  },
  // Anybody may keep a repository or an upload there: what may be read from these may also be written to.
  github: {
    brief: "git over HTTPS, the API, archives and release files of GitHub",
    source: "https://api.github.com/meta",
    hosts: [
      "github.com:443",
      "api.github.com:443",
      "codeload.github.com:443",
      "raw.githubusercontent.com:443",
      "objects.githubusercontent.com:443",
      "release-assets.githubusercontent.com:443",
    ],
  },
  gitlab: {
    brief: "git over HTTPS, the API and the registry of gitlab.com",
    source: "https://docs.gitlab.com/user/gitlab_com/",
    hosts: ["gitlab.com:443", "registry.gitlab.com:443"],
  },
  anthropic: {
    brief: "the Claude API",
    source: "https://docs.claude.com/en/api/overview",
    hosts: ["api.anthropic.com:443"],
  },
  openai: {
    brief: "the OpenAI API",
    source: "https://platform.openai.com/docs/api-reference",
    hosts: ["api.openai.com:443"],
  },
  gemini: {
    brief: "the Gemini API",
    source: "https://ai.google.dev/api",
    hosts: ["generativelanguage.googleapis.com:443"],
  },
  mistral: {
    brief: "the Mistral API",
    source: "https://docs.mistral.ai/api/",
    hosts: ["api.mistral.ai:443"],
  },
  openrouter: {
    brief: "the OpenRouter API",
    source: "https://openrouter.ai/docs/api-reference/overview",
    hosts: ["openrouter.ai:443"],
  },
};

const PREFIX = "preset:";

/** The entry's preset, null when it names one that there is not, undefined when it names none. */
export function presetOf(entry: string): readonly string[] | null | undefined {
  if (!entry.startsWith(PREFIX)) return undefined;
  const name = entry.slice(PREFIX.length);
  return Object.hasOwn(EGRESS_PRESETS, name) ? EGRESS_PRESETS[name]!.hosts : null;
}
