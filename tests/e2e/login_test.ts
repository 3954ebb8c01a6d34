// SPDX-License-Identifier: Apache-2.0

/** Somebody who is not the operator: an account, a session, what it may do, and its end. */
import assert from "node:assert/strict";
import { makeSelfMade } from "../../src/lib/certificate/mod.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type Bureau, type Finished, freePort, ROOT, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";

const PASSWORD = "correct horse battery staple";

/** `bureau …` of a person with a configuration directory of their own. */
class Person {
  constructor(
    readonly bureau: Bureau,
    readonly dir: string,
    /** Absent: at the operator's machine. */
    readonly elsewhere?: { readonly stateDir: string; readonly runDir: string },
  ) {}

  get file(): string {
    return `${this.dir}/config/bureau/session.json`;
  }

  async says(
    args: readonly string[],
    input = "",
    env: Record<string, string> = {},
  ): Promise<Finished> {
    const { stateDir, runDir } = this.elsewhere ?? this.bureau;
    const child = new Deno.Command("sh", {
      args: ["tasks/bureau", ...args, "--state-dir", stateDir, "--run-dir", runDir],
      cwd: ROOT,
      env: { XDG_CONFIG_HOME: `${this.dir}/config`, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    // Whoever refuses before it reads has closed it.
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  async done(
    args: readonly string[],
    input?: string,
    env?: Record<string, string>,
  ): Promise<string> {
    const finished = await this.says(args, input, env);
    assert.equal(finished.code, 0, `${args.join(" ")}: ${finished.stdout}${finished.stderr}`);
    return finished.stdout;
  }

  /** What a refusal says, and what it says to do. */
  async refused(
    status: number,
    says: RegExp,
    hint: RegExp,
    args: readonly string[],
    input?: string,
    env?: Record<string, string>,
  ): Promise<void> {
    const { code, stdout, stderr } = await this.says(args, input, env);
    const all = `${args.join(" ")}: ${stdout}${stderr}`;
    assert.equal(code, status, all);
    assert.match(stderr, new RegExp(`^error: .*${says.source}`, "m"), all);
    assert.match(stderr, new RegExp(`^hint: .*${hint.source}`, "m"), all);
  }
}

Deno.test("a person with an account of their own logs in, does what rooms let them, and logs out", async (t) => {
  await withBureau(async (bureau) => {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-login-" });
    try {
      const up = await bureau.up("--detach");
      assert.equal(up.code, 0, up.stdout + up.stderr);
      const ada = new Person(bureau, `${dir}/ada`);
      const afar = new Person(bureau, `${dir}/afar`, {
        stateDir: `${dir}/none`,
        runDir: `${dir}/none-run`,
      });
      const { url } = bureau.homeserver;

      await t.step("the operator makes the account, and nobody's password is shown", async () => {
        await Deno.mkdir(`${dir}/ada`);
        await Deno.writeTextFile(`${dir}/ada/password`, `${PASSWORD}\n`, { mode: 0o600 });
        const made = await ada.done([
          "matrix",
          "user",
          "create",
          "ada",
          "--password-file",
          `${dir}/ada/password`,
          "--invite",
          "agent/scribe",
        ]);
        assert.match(made, /^@ada:\S+ is made/);
        assert.ok(!made.includes(PASSWORD));
        await ada.refused(1, /such an account already/, /another name/, [
          "matrix",
          "user",
          "create",
          "ada",
          "--password-file",
          "-",
        ], PASSWORD);
        await ada.refused(2, /no terminal/, /--password-file/, ["matrix", "user", "create", "eve"]);
        await ada.refused(1, /no terminal/, /in a terminal/, [
          "matrix",
          "account",
          "--show-password",
        ]);
        assert.ok((await ada.done(["matrix", "account"])).includes(url));
      });

      await t.step("each way that a login fails says what to do", async () => {
        const login = (...args: string[]) => ["login", ...args, "--password-file", "-"];
        await afar.refused(
          4,
          /the password of "ada" is another one/,
          /try again/,
          login("ada", "--homeserver", url),
          "wrong",
        );
        await afar.refused(
          4,
          /no account "adda"/,
          /check the name/,
          login("adda", "--homeserver", url),
          "wrong",
        );
        await afar.refused(2, /which homeserver/, /--homeserver/, login("ada"), PASSWORD);
        await afar.refused(
          1,
          /is the homeserver of/,
          /log in as @ada:/,
          login("@ada:example.invalid", "--homeserver", url),
          PASSWORD,
        );
        await afar.refused(
          3,
          /nothing answers there/,
          /ssh -L/,
          login("ada", "--homeserver", `http://127.0.0.1:${freePort()}`),
          PASSWORD,
        );
        await afar.refused(
          3,
          /nothing answers there/,
          /homeserver's own URL/,
          login("ada", "--homeserver", `localhost:${freePort()}`),
          PASSWORD,
        );
        await afar.refused(
          2,
          /no homeserver's URL/,
          /--homeserver/,
          login("ada", "--homeserver", "ftp://localhost"),
          PASSWORD,
        );
        await afar.refused(1, /no such file/, /first line is the password/, [
          "login",
          "ada",
          "--homeserver",
          url,
          "--password-file",
          "/nowhere",
        ]);
        await using page = serve((): Response => new Response("hello"));
        await afar.refused(
          1,
          /no Matrix homeserver/,
          /name of a server/,
          login("ada", "--homeserver", page.url),
          PASSWORD,
        );
        const wait = { errcode: "M_LIMIT_EXCEEDED", error: "Slow down", retry_after_ms: 90_000 };
        await using busy = serve((path) =>
          path.endsWith("/login")
            ? Response.json(wait, { status: 429 })
            : Response.json({ versions: ["v1.11"] })
        );
        await afar.refused(
          6,
          /too many attempts/,
          /in 90 s/,
          login("ada", "--homeserver", busy.url),
          PASSWORD,
        );
        assert.equal(await Deno.stat(afar.file).then(() => true, () => false), false);
      });

      await t.step(
        "a server's name leads to its homeserver, by a certificate that is believed",
        async () => {
          const { authority, certificate, key } = await makeSelfMade("localhost", systemClock);
          await Deno.writeTextFile(`${dir}/ca.pem`, authority);
          await using server = serve(
            (path) =>
              path === "/.well-known/matrix/client"
                ? Response.json({ "m.homeserver": { base_url: url } })
                : new Response("", { status: 404 }),
            { cert: certificate, key },
          );
          const name = `localhost:${new URL(server.url).port}`;
          const args = ["login", "ada", "--homeserver", name, "--password-file", "-"];
          await afar.refused(1, /signed by an authority/, /DENO_CERT/, args, PASSWORD);
          await afar.refused(1, /signed by an authority that nobody here knows/, /DENO_CERT/, [
            "login",
            "ada",
            "--homeserver",
            `https://${name}`,
            "--password-file",
            "-",
          ], PASSWORD);
          const said = await afar.done(args, PASSWORD, { DENO_CERT: `${dir}/ca.pem` });
          assert.ok(said.includes(url), said);
        },
      );

      await t.step("the session is the person's alone, and commands go by it", async () => {
        assert.equal((await Deno.stat(afar.file)).mode! & 0o777, 0o600);
        assert.ok(!(await Deno.readTextFile(afar.file)).includes(PASSWORD));
        const who = JSON.parse(await afar.done(["whoami", "--verify", "--json"]));
        assert.deepEqual([who.user_id.split(":")[0], who.source, who.verified], [
          "@ada",
          "login",
          true,
        ]);
        assert.match(await afar.done(["matrix", "account"]), /the one that you logged in with/);
        await afar.done(["matrix", "send", "agent/scribe", "hello from afar"]);
        await afar.refused(4, /operator's signing key/, /on the operator's machine/, [
          "agent",
          "create",
          "x",
        ]);
        // At the operator's machine too, and the operator's session is one word away.
        await ada.done(["login", "ada", "--password-file", "-"], PASSWORD);
        await ada.refused(4, /operator's signing key/, /BUREAU_SESSION=operator/, [
          "agent",
          "create",
          "x",
        ]);
        assert.match(
          await ada.done(["whoami"], "", { BUREAU_SESSION: "operator" }),
          /^@operator:.*\nas the operator/,
        );
        assert.match(await ada.done(["matrix", "messages", "agent/scribe"]), /hello from afar/);
        // What is at another homeserver is no business of this Bureau.
        await Deno.writeTextFile(`${dir}/ada/config/bureau/homeserver`, "127.0.0.1:1");
        assert.match(await ada.done(["whoami"]), /^@operator:/);
      });

      await t.step("on a terminal the password is asked for and not shown", async () => {
        await using terminal = await PersonTerminal.open(150, 30);
        const places =
          `BUREAU_STATE_DIR=${dir}/none BUREAU_RUN_DIR=${dir}/none-run XDG_CONFIG_HOME=${dir}/typed`;
        await terminal.enter(`export ${places} PATH=${Deno.env.get("PATH")}; clear`);
        await terminal.enter(
          `sh ${ROOT}/tasks/bureau login ada --homeserver ${url}; echo "left $?"`,
        );
        await terminal.shows(/Password of ada: *$/m);
        await terminal.enter(PASSWORD);
        const screen = await terminal.shows(/^left 0$/m);
        assert.ok(!screen.includes("horse"), screen);
        await terminal.enter(`clear; sh ${ROOT}/tasks/bureau logout; echo "left $?"`);
        await terminal.shows(/is logged out[^]*^left 0$/m);
      });

      await t.step(
        "a session that ended says how there is a new one, and logout ends it everywhere",
        async () => {
          const token = JSON.parse(await Deno.readTextFile(afar.file)).access_token;
          const ask = () =>
            fetch(`${url}/_matrix/client/v3/account/whoami`, {
              headers: { authorization: `Bearer ${token}` },
            });
          const before = await ask();
          await before.body?.cancel();
          assert.equal(before.status, 200);
          const file = await Deno.readTextFile(afar.file);
          await afar.done(["logout"]);
          const after = await ask();
          await after.body?.cancel();
          assert.equal(after.status, 401);
          await afar.refused(5, /you did not log in/, /whoami/, ["logout"]);
          await Deno.writeTextFile(afar.file, file);
          await Deno.writeTextFile(`${dir}/afar/config/bureau/homeserver`, new URL(url).host);
          for (
            const args of [["matrix", "send", "agent/scribe", "x"], [
              "matrix",
              "messages",
              "agent/scribe",
            ], [
              "whoami",
              "--verify",
            ]]
          ) {
            await afar.refused(4, /Cannot/, /bureau login @ada:\S+ --homeserver http/, args);
          }
          await afar.done(["logout"]);
        },
      );
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
});

/** On a port of its own, on loopback. */
function serve(
  answer: (path: string) => Response,
  tls?: { readonly cert: string; readonly key: string },
): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve(
    { hostname: "localhost", port: 0, onListen() {}, ...tls },
    (request) => answer(new URL(request.url).pathname),
  );
  return {
    url: `${tls === undefined ? "http" : "https"}://localhost:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
