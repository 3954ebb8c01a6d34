// SPDX-License-Identifier: Apache-2.0

/** The web page from beyond loopback, as docs/guide/phone-and-browser.md says: through SSH, nginx, and on the network. */
import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import { lacks } from "../../src/lib/testing/skip.ts";
import { makeLan } from "../../src/daemon/web/lan.ts";
import { type Bureau, eventually, freePort, ROOT, run, skip, step, withBureau } from "./harness.ts";
import { SCRIBE } from "./matrix.ts";

const GUIDE = `${ROOT}/docs/guide/phone-and-browser.md`;
const PATIENCE_MS = 60_000;

interface Opened {
  readonly token: string;
  readonly urls: readonly string[];
  readonly addresses: readonly { readonly url: string }[];
  readonly authority: string | null;
}

/** Logs in at `base` as its own page would, and watches. @returns the cookie that it was given */
async function comeIn(bureau: Bureau, base: string, authority?: string): Promise<string> {
  const { token } = await bureau.json<Opened>("web");
  using client = Deno.createHttpClient(authority === undefined ? {} : { caCerts: [authority] });
  const { origin } = new URL(base);
  const page = await fetch(base, { client });
  assert.match(await page.text(), /^<!doctype html>/);
  assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'/);
  const login = (from: string) =>
    fetch(`${base}/login`, {
      ...{ client, method: "POST", body: JSON.stringify({ token }), headers: { origin: from } },
    });
  const forged = await login("https://evil.example");
  assert.equal(forged.status, 403, await forged.text());
  const response = await login(origin);
  assert.equal(response.status, 204, await response.text());
  const set = response.headers.get("set-cookie")!;
  const cookie = set.split(";")[0]!;
  const url = `${base.replace(/^http/, "ws")}/v1/principals/${encodeURIComponent(SCRIBE)}/observe`;
  const socket = new WebSocket(url, {
    ...{ protocols: ["bureau.observe.v2"], headers: { origin, cookie }, client },
  });
  try {
    const first = await new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(data);
      socket.onerror = () => reject(new Error("no WebSocket"));
    });
    assert.equal(JSON.parse(first).principal, SCRIBE);
  } finally {
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
  }
  return set;
}

/** A program that serves until the test is over. */
function background(program: string, args: string[], env: Record<string, string> = {}) {
  const child = new Deno.Command(program, {
    ...{ args, env, stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  let said = "";
  const reading = (async () => {
    for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) said += part;
  })();
  return {
    said: () => said,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It ended by itself.
      }
      await child.status;
      await reading;
    },
  };
}

const listens = (port: number, of: { said(): string }) =>
  eventually(`somebody listens on ${port}`, async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      throw new Error(of.said());
    }
  }, PATIENCE_MS);

Deno.test("the web page is reached through SSH, through nginx, and over the network with TLS", async (t) => {
  const outside = freePort();
  const web = freePort();
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-beyond-" });
  try {
    await withBureau(async (bureau) => {
      const started = await bureau.up(
        ...[
          "--detach",
          "--web",
          `127.0.0.1:${web}`,
          "--web-origin",
          `https://localhost:${outside}`,
        ],
      );
      assert.equal(started.code, 0, started.stdout + started.stderr);
      await eventually("the agent runs", async () => {
        const { phase } = await bureau.json<{ phase: string }>("agent", "show", "agent/scribe");
        return phase === "running";
      }, PATIENCE_MS);
      await step(t, bureau, "ssh -L", () => throughSsh(t, bureau, dir, web));
      await step(t, bureau, "nginx", () => throughNginx(t, bureau, dir, web, outside));
      await step(t, bureau, "--lan", () => onTheNetwork(t, bureau));
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function throughSsh(t: Deno.TestContext, bureau: Bureau, dir: string, web: number) {
  if (await lacks(t, "/usr/sbin/sshd", "openssh-server")) return;
  if (await lacks(t, "/usr/bin/ssh", "openssh-client")) return;
  const user = (await run("id", ["-un"])).stdout.trim();
  if (user === "" || (await run("getent", ["passwd", user])).code !== 0) {
    return await skip(t, "ssh serves nobody who has no name");
  }
  const [port, near] = [freePort(), freePort()];
  for (const name of ["host", "person"]) {
    const made = await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${name}`]);
    assert.equal(made.code, 0, made.stderr);
  }
  await Deno.copyFile(`${dir}/person.pub`, `${dir}/authorized`);
  const host = (await Deno.readTextFile(`${dir}/host.pub`)).trim();
  await Deno.writeTextFile(`${dir}/known`, `[127.0.0.1]:${port} ${host}\n`);
  await using _ = await sshdPlace();
  await using sshd = background("/usr/sbin/sshd", [
    ...["-D", "-e", "-f", "/dev/null", "-p", String(port), "-h", `${dir}/host`],
    ...[
      "ListenAddress=127.0.0.1",
      "PidFile=none",
      "StrictModes=no",
      "PermitRootLogin=yes",
      "PasswordAuthentication=no",
      `AuthorizedKeysFile=${dir}/authorized`,
    ].flatMap((option) => ["-o", option]),
  ]);
  await listens(port, sshd);
  // As the guide has it, with the ports of this test.
  const guide = await Deno.readTextFile(GUIDE);
  const [, forward] = /^ssh -L (6169:127\.0\.0\.1:6169) you@the-machine$/m.exec(guide)!;
  const wanted = forward!.replace(/^6169/, String(near)).replace(/6169$/, String(web));
  await using ssh = background("/usr/bin/ssh", [
    ...["-N", "-F", "none", "-L", wanted, "-p", String(port), "-i", `${dir}/person`],
    ...["IdentitiesOnly=yes", `UserKnownHostsFile=${dir}/known`, "ExitOnForwardFailure=yes"]
      .flatMap((option) => ["-o", option]),
    `${user}@127.0.0.1`,
  ], { HOME: dir });
  await listens(near, ssh);
  assert.match(await comeIn(bureau, `http://localhost:${near}`), new RegExp(`^bureau-${near}=`));
}

/** Where root's sshd puts itself without rights; Debian's service makes it. */
async function sshdPlace(): Promise<AsyncDisposable> {
  const path = "/run/sshd";
  const made = Deno.uid() === 0 &&
    await Deno.mkdir(path, { mode: 0o755 }).then(() => true, () => false);
  return {
    async [Symbol.asyncDispose]() {
      if (made) await Deno.remove(path).catch(() => {});
    },
  };
}

async function throughNginx(
  t: Deno.TestContext,
  bureau: Bureau,
  dir: string,
  web: number,
  outside: number,
) {
  if (await lacks(t, "/usr/sbin/nginx", "nginx-light")) return;
  const tls = await makeLan("localhost", 0, systemClock);
  await Deno.writeTextFile(`${dir}/proxy.pem`, tls.certificate);
  await Deno.writeTextFile(`${dir}/proxy.key`, tls.key, { mode: 0o600 });
  const [, block] = /^```nginx\n(.*?)^```$/ms.exec(await Deno.readTextFile(GUIDE))!;
  const here = block!
    .replace("listen 443 ssl", `listen 127.0.0.1:${outside} ssl`)
    .replace("server_name bureau.example.org", "server_name localhost")
    .replace("/etc/ssl/bureau.pem", `${dir}/proxy.pem`)
    .replace("/etc/ssl/bureau.key", `${dir}/proxy.key`)
    .replace("127.0.0.1:6169", `127.0.0.1:${web}`)
    .replace("Host $host", "Host $http_host");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${dir}/${name};`).join("\n");
  await Deno.writeTextFile(
    `${dir}/nginx.conf`,
    `daemon off;\nmaster_process off;\npid ${dir}/nginx.pid;\nerror_log stderr;\nevents {}\n` +
      `http {\naccess_log off;\n${temporary}\n${here}}\n`,
  );
  await using nginx = background("/usr/sbin/nginx", ["-c", `${dir}/nginx.conf`, "-e", "stderr"]);
  await listens(outside, nginx);
  const cookie = await comeIn(bureau, `https://localhost:${outside}`, tls.authority);
  assert.match(cookie, new RegExp(`^__Host-bureau-${outside}=.*; Secure$`));
}

async function onTheNetwork(t: Deno.TestContext, bureau: Bureau) {
  const address = (await run("hostname", ["-I"])).stdout.trim().split(" ")[0]!;
  if (address === "") return await skip(t, "this machine is in no network");
  const opened = await bureau.json<Opened>("web", "--lan");
  const { url } = opened.addresses[1]!;
  assert.equal(new URL(url).hostname.replace(/^\[|\]$/g, ""), address);
  assert.ok(opened.urls[1]!.startsWith(`${url}/#token=`));
  assert.match(await comeIn(bureau, url, opened.authority!), /^__Host-bureau-\d+=.*; Secure$/);
  // Whoever does not know the authority does not come by; nor does plain HTTP, nor another name.
  await assert.rejects(fetch(url));
  const plain = await fetch(url.replace("https:", "http:")).then(
    async (response) => {
      await response.body?.cancel();
      return response.status;
    },
    () => null,
  );
  assert.ok(plain === null || plain >= 400, `plain HTTP was answered with ${plain}`);
  // The same address, with the same authority, after a start.
  const again = await bureau.json<Opened>("web", "--lan");
  assert.equal(again.authority, opened.authority);
  assert.equal((await bureau.cli("web", "--loopback")).code, 0);
  await eventually(
    "nobody listens there",
    async () =>
      await fetch(url).then(
        () => false,
        (thrown) => /refused/i.test(String(thrown.cause ?? thrown)),
      ),
  );
  assert.equal((await bureau.cli("web", "--lan", "--address", "127.0.0.2")).code, 1);
}
