// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { fromGh, fromNetrc, fromNpmrc, fromVariables } from "./sources.ts";

const shown = (found: readonly { name: string; value: string; hosts: readonly string[] }[]) =>
  found.map(({ name, value, hosts }) => [name, value, hosts.join(" ")]);

Deno.test("gh's hosts.yml gives a token for each host", () => {
  const text = `github.com:
    users:
        octocat:
    git_protocol: https
    user: octocat
    oauth_token: gho_one
ghe.example.org:
    oauth_token: gho_two
empty.example.org:
    user: nobody
`;
  assert.deepEqual(shown(fromGh(text)), [
    ["gh", "gho_one", "api.github.com:443 github.com:443"],
    ["gh-ghe.example.org", "gho_two", "ghe.example.org:443"],
  ]);
  assert.equal(fromGh(text)[0]!.from, "gh, octocat at github.com");
});

Deno.test(".npmrc gives registries' tokens, and none that stand in a variable", () => {
  const text = `registry=https://registry.npmjs.org/
//registry.npmjs.org/:_authToken=npm_abc
//npm.example.org:8443/path/:_authToken = "quoted"
//other.example.org/:_authToken=\${NPM_TOKEN}
//old.example.org/:_password=cGFzcw==
`;
  assert.deepEqual(shown(fromNpmrc(text)), [
    ["npm", "npm_abc", "registry.npmjs.org:443"],
    ["npm-npm.example.org-8443", "quoted", "npm.example.org:8443"],
  ]);
});

Deno.test(".netrc gives machines' passwords, none of default, and no macro", () => {
  const text = `# comment password nope
machine a.example.org login me password secret1
machine b.example.org
  login you
  password secret2
macdef init
machine evil password no

default login anonymous password everywhere
machine c.example.org:8443 password secret3
`;
  assert.deepEqual(shown(fromNetrc(text)), [
    ["netrc-a.example.org", "secret1", "a.example.org:443"],
    ["netrc-b.example.org", "secret2", "b.example.org:443"],
    ["netrc-c.example.org:8443", "secret3", "c.example.org:8443"],
  ]);
  assert.equal(fromNetrc(text)[0]!.from, ".netrc, me at a.example.org");
});

Deno.test("variables come as name and base64; hosts of well-known ones are known", () => {
  const line = (name: string, value: string) => `${name} ${btoa(value)}\n`;
  assert.deepEqual(shown(fromVariables(line("GH_TOKEN", "a b\nc") + line("MINE", "x"))), [
    ["GH_TOKEN", "a b\nc", "api.github.com:443 github.com:443"],
    ["MINE", "x", ""],
  ]);
});
