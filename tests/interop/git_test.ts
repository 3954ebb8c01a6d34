// SPDX-License-Identifier: Apache-2.0

/**
 * git inside a sandbox clones and pushes over HTTPS with a token that it never has: by the reverse service,
 * through `insteadOf`, and by HTTPS_PROXY with a placeholder that the proxy swaps.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { run } from "../e2e/harness.ts";
import { programs } from "./packages.ts";
import { type Agent, type Rig, withRig } from "./rig.ts";
import { type GitServer, startGit } from "./servers/git.ts";
import { authorityOf } from "./servers/tls.ts";

/** A bare repository of some hundred kilobytes that don't compress: more than git's postBuffer in one push. */
async function makeBare(root: string): Promise<void> {
  await Deno.mkdir(root, { recursive: true });
  const seed = `${root}/seed`;
  const git = async (...args: string[]) => {
    const done = await run("git", ["-c", "user.name=Ada", "-c", "user.email=a@b.invalid", ...args]);
    assert.equal(done.code, 0, done.stderr);
  };
  await git("init", "--quiet", "--initial-branch=main", seed);
  await Deno.writeFile(`${seed}/data`, crypto.getRandomValues(new Uint8Array(60_000)));
  await git("-C", seed, "add", ".");
  await git("-C", seed, "commit", "--quiet", "-m", "first");
  await git("clone", "--quiet", "--bare", seed, `${root}/project.git`);
}

const SESSION = `
  set -e
  export GIT_TERMINAL_PROMPT=0
  git config --global user.name Agent; git config --global user.email agent@b.invalid
  git config --global http.postBuffer 65536
  git clone --quiet "$REMOTE" clone
  cd clone
  head -c 3000000 /dev/urandom >more
  git add . && git commit --quiet -m "from the sandbox"
  git push --quiet origin HEAD:refs/heads/agent
  git fetch --quiet && git rev-parse HEAD origin/agent
  git clone --quiet --depth 1 --branch agent "$REMOTE" ../shallow
  cmp more ../shallow/more && echo same
`;

async function check(rig: Rig, git: GitServer, root: string, agent: Agent): Promise<void> {
  const { code, said } = await rig.run({ ...agent, script: agent.script + SESSION });
  assert.equal(code, 0, said);
  const [local, remote, same] = said.trim().split("\n").slice(-3);
  assert.equal(local, remote, said);
  assert.equal(same, "same");
  const pushed = await run("git", ["-C", `${root}/project.git`, "rev-parse", "agent"]);
  assert.equal(pushed.stdout.trim(), local);
  assert.ok(git.served.some((line) => line.endsWith("/git-receive-pack")), git.served.join("\n"));
}

for (const way of ["reverse", "insteadOf", "forward"] as const) {
  Deno.test(`git: clone, push, fetch, shallow clone (${way})`, async (t) => {
    const missing = await programs("git");
    if (missing !== null) return await skip(t, missing);
    await withRig(async (rig) => {
      const token = rig.secret("token");
      const root = `${rig.servers}/git`;
      await makeBare(root);
      await using git = startGit(root, token, rig.authority);
      const direct = `https://${authorityOf(git)}`;
      const shared = {
        credentials: { token: { value: token, servers: [git] } },
        servers: [git],
      };
      const reverse = {
        ...shared,
        services: {
          git: { upstream: direct, basic_auth: { username: "agent", password: "token" } },
        },
      };
      const agents: Record<typeof way, Agent> = {
        reverse: {
          ...reverse,
          environment: { REMOTE: "http://127.0.0.1:8642/http/git/project.git" },
          script: "",
        },
        insteadOf: {
          ...reverse,
          environment: { REMOTE: `${direct}/project.git` },
          script:
            `git config --global url."http://127.0.0.1:8642/http/git/".insteadOf "${direct}/"\n`,
        },
        forward: {
          ...shared,
          placeholders: { GIT_TOKEN: "token" },
          environment: { REMOTE: `${direct}/project.git` },
          script: `git config --global credential.helper \
            '!f() { echo username=agent; echo "password=$GIT_TOKEN"; }; f'
            case $GIT_TOKEN in bureau-placeholder-*) ;; *) echo "GIT_TOKEN=$GIT_TOKEN"; exit 1 ;; esac
          `,
        },
      };
      await check(rig, git, root, agents[way]);
      // Control: who comes without the token is sent away, as git is at first where it asks.
      if (way === "forward") assert.ok(git.challenged() > 0);
      else assert.equal(git.challenged(), 0);
    });
  });
}
