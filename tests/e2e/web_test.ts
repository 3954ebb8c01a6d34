// SPDX-License-Identifier: Apache-2.0

/** The web page in a real browser before a whole Bureau: who comes in, what they see, and what they can't do. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { Browsers, PATIENCE_MS, screenOf, shows } from "./browser.ts";
import { type Bureau, eventually, findProcess, step, withBureau } from "./harness.ts";
import { SCRIBE } from "./matrix.ts";

interface Issued {
  readonly id: string;
  readonly token: string;
  readonly urls: readonly string[];
}

/** Without its blanks: where it is wrapped depends on who types. */
const HELP = /Iknow:report\(thewholerepository\),reportPATH,help/g;
const WATCH = `#/watch/${encodeURIComponent(SCRIBE)}`;

const link = async (bureau: Bureau) => (await bureau.json<Issued>("web")).urls[0]!;

async function openWatch(page: Page): Promise<void> {
  await page.locator(".card", { hasText: "agent/scribe" }).click();
  await shows(page, /listening; I know/);
}

async function take(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Take the keyboard" }).click();
  await page.getByRole("button", { name: "Release the keyboard" }).waitFor();
}

/** How often the agent has answered `help`, on this screen. */
const answers = (screen: string) => [...screen.replaceAll(/\s/g, "").matchAll(HELP)].length;

/** Types with frames of its own making, whatever the page would do. @returns what it was told */
function typeByHand(page: Page, text: string): Promise<string[]> {
  return page.evaluate(async ([agent, words]) => {
    const url = `ws://${location.host}/v1/principals/${encodeURIComponent(agent!)}` +
      "/observe?mode=readwrite&who=somebody&watcher=other&cols=100&rows=30";
    const socket = new WebSocket(url, "bureau.observe.v2");
    socket.binaryType = "arraybuffer";
    const told: string[] = [];
    await new Promise<void>((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") return;
        told.push(data);
        if (JSON.parse(data).type === "metadata") resolve();
      };
      socket.onclose = () => reject(new Error("it was closed"));
    });
    socket.send('{"type":"may","mode":"readwrite"}');
    socket.send('{"type":"take"}');
    const bytes = new TextEncoder().encode(words);
    socket.send(new Uint8Array([3, ...bytes]));
    socket.send(new Uint8Array([0, ...bytes]));
    socket.send(words!);
    // What was sent before it was answered was read before it.
    await new Promise<void>((resolve) => {
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") return;
        told.push(data);
        if (JSON.parse(data).type === "screen") resolve();
      };
      socket.send('{"type":"screen"}');
    });
    socket.onclose = null;
    socket.close();
    return told;
  }, [SCRIBE, text]);
}

/** What the agent's proxy answers to a tunnel that is asked for: held until somebody decides. */
async function connectAsAgent(bureau: Bureau, to: string): Promise<string> {
  for await (const { name } of Deno.readDir(`${bureau.runDir}/p`)) {
    const path = `${bureau.runDir}/p/${name}/agent/forward.sock`;
    using socket = await Deno.connect({ transport: "unix", path });
    const ask = `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`;
    await socket.write(new TextEncoder().encode(ask));
    const bytes = new Uint8Array(512);
    const count = await socket.read(bytes);
    return new TextDecoder().decode(bytes.subarray(0, count ?? 0));
  }
  throw new Error("no agent is here");
}

Deno.test({
  name: "the web page shows agents to whom may see them, and takes keys from whom may type",
  // Playwright's connection to the browser is its own.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    const browsers = await Browsers.open(t);
    if (browsers === null) return;
    try {
      await withBureau((bureau) => tour(t, bureau, browsers));
    } finally {
      await browsers.close();
    }
  },
});

async function tour(t: Deno.TestContext, bureau: Bureau, browsers: Browsers): Promise<void> {
  const started = await bureau.up("--detach");
  assert.equal(started.code, 0, started.stdout + started.stderr);
  const operator = await browsers.person();
  const { page } = operator;
  let url = "";

  await step(t, bureau, "a one-time link logs one browser in, and leaves the address", async () => {
    url = await link(bureau);
    await page.goto(url);
    await page.locator(".card", { hasText: "agent/scribe" }).waitFor();
    assert.ok(!page.url().includes("token"), page.url());
    const second = await browsers.person();
    await second.page.goto(url);
    await second.page.getByText("the link or token is unknown, used or over").waitFor();
    assert.equal(await second.page.locator(".card").count(), 0);
    await second.context.close();
  });

  await step(
    t,
    bureau,
    "it lists the agent with what it takes, and shows its terminal",
    async () => {
      await page.locator(".card", { hasText: "running" }).or(page.locator(".card .badge")).first()
        .waitFor();
      // What it takes is known where it has a control group.
      if (await Deno.stat(`${bureau.runDir}/cgroups`).then(() => true, () => false)) {
        await page.locator(".card .facts", { hasText: "cpu" }).waitFor();
      }
      await openWatch(page);
      await eventually(
        "one watches",
        async () =>
          (await bureau.json<{ watchers: number }>("agent", "show", "agent/scribe")).watchers === 1,
      );
    },
  );

  await step(t, bureau, "whoever took the keyboard types, and sees the effect", async () => {
    await page.locator(".xterm").click();
    await page.keyboard.type("help\n");
    await page.getByText("Take the keyboard to type.").waitFor();
    await take(page);
    await page.getByText("you type").waitFor();
    await page.keyboard.type("report README.md\n");
    await shows(page, /^README\.md: 22 bytes, 3 lines/m);
    // The one that was not taken was not kept for later either.
    assert.equal(answers(await screenOf(page)), 1);
  });

  await step(t, bureau, "another browser sees who types, and takes over visibly", async () => {
    const token = await bureau.json<Issued>("web", "token", "create", "second", "--for", "1h");
    const other = await browsers.person({ light: true });
    await other.page.goto(new URL("/", url).href);
    await other.page.getByLabel("Token").fill(token.token);
    await other.page.getByRole("button", { name: "Log in" }).click();
    await openWatch(other.page);
    await other.page.getByText("operator types").waitFor();
    await take(other.page);
    await page.getByRole("button", { name: "Take the keyboard" }).waitFor();
    await page.getByText("operator types").waitFor();
    await other.page.keyboard.type("help\n");
    await eventually(
      "both see it",
      async () => answers(await screenOf(page)) === 2 && answers(await screenOf(other.page)) === 2,
      PATIENCE_MS,
    );

    // Revoked, it is out at once, with what it has open.
    const revoked = await bureau.json<{ sessions: number }>(
      ...["web", "token", "revoke", token.id, "--yes"],
    );
    assert.equal(revoked.sessions, 1);
    await other.page.getByText("Your session has ended.").waitFor();
    await page.getByText("operator types").waitFor({ state: "hidden" });
    await other.context.close();
  });

  await step(
    t,
    bureau,
    "a shared link shows one terminal, and types nothing by any means",
    async () => {
      const shared = await bureau.json<Issued>("web", "share", "agent/scribe", "--for", "1h");
      const guest = await browsers.person();
      await guest.page.goto(shared.urls[0]!);
      await shows(guest.page, /listening; I know/);
      assert.equal(await guest.page.getByRole("button").count(), 0);
      await page.getByText("shared link").waitFor();
      const before = answers(await screenOf(page));
      await guest.page.locator(".xterm").click();
      await guest.page.keyboard.type("help\n");
      const told = await typeByHand(guest.page, "help\r");
      assert.equal(JSON.parse(told[0]!).mode, "readonly", told[0]);
      const refused = await guest.page.evaluate(async (agent) =>
        await Promise.all(
          ["", `/${encodeURIComponent(agent)}`, `/${encodeURIComponent(agent)}/usage`]
            .map(async (path) => (await fetch(`/v1/principals${path}`)).status),
        ), SCRIBE);
      assert.deepEqual(refused, [403, 403, 403]);
      // Control: the same frames by who may. What the guest typed before would stand before it.
      assert.equal(
        JSON.parse((await typeByHand(page, "report README.md\r"))[0]!).mode,
        "readwrite",
      );
      await eventually(
        "what the operator's frames typed is there",
        async () => [...(await screenOf(page)).matchAll(/^README\.md: 22 bytes/mg)].length === 2,
        PATIENCE_MS,
      );
      assert.equal(answers(await screenOf(page)), before);

      await bureau.json("web", "share", "revoke", shared.id, "--yes");
      await guest.page.getByText("Your session has ended.").waitFor();
      await guest.context.close();
    },
  );

  await step(t, bureau, "on a phone it has the keys that a phone lacks", async () => {
    const phone = await browsers.person({ phone: true });
    await phone.page.goto(await link(bureau));
    await openWatch(phone.page);
    assert.ok(await phone.page.locator(".side").isHidden(), "the list makes room");
    await take(phone.page);
    await phone.page.keyboard.type("nonsense");
    // ctrl-U, by the row and the soft keyboard, takes it back.
    await phone.page.getByRole("button", { name: "ctrl", exact: true }).tap();
    await phone.page.keyboard.type("u");
    await phone.page.keyboard.type("report src/a.ts");
    await phone.page.getByRole("button", { name: "Enter" }).tap();
    await shows(phone.page, /^src\/a\.ts: \d+ bytes/m);
    const [width, room] = await phone.page.evaluate<[number, number]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    assert.ok(width <= room, `the page is ${width} wide on ${room}`);
    await phone.page.getByRole("button", { name: "Release the keyboard" }).tap();
    await phone.page.getByText("‹ Agents").tap();
    await phone.page.locator(".card").waitFor();
    await phone.context.close();
  });

  await step(t, bureau, "what was shown is played again, from any moment", async () => {
    await page.getByText("Recordings", { exact: true }).click();
    await page.locator(".records .card").first().click();
    // It plays by itself; the pauses are skipped.
    await shows(page, /scribe starts/);
    const slider = page.getByLabel("Position");
    const end = await slider.getAttribute("max");
    assert.ok(Number(end) > 0);
    await slider.fill(end!);
    await shows(page, /^README\.md: 22 bytes, 3 lines/m);
    await page.getByRole("button", { name: "Play" }).waitFor();
    await slider.fill("0");
    await eventually(
      "it is at its beginning",
      async () => !(await screenOf(page)).includes("README.md: 22 bytes"),
      PATIENCE_MS,
    );
    await slider.fill(end!);
    await shows(page, /^README\.md: 22 bytes, 3 lines/m);
    await page.getByText("‹ Recordings").click();
    await page.getByText("Watch it now").click();
    await shows(page, /listening; I know/);
  });

  await step(t, bureau, "a question is asked in the page, and its answer holds", async () => {
    const asks = await bureau.cli("egress", "ask", "agent/scribe", "*:443");
    assert.equal(asks.code, 0, asks.stderr);
    const card = page.locator(".ask", { hasText: "nowhere.invalid:443" });
    let asked = false;
    // Until its proxy has heard of the new policy it is refused at once.
    const answer = eventually("it is asked", async () => {
      const text = await connectAsAgent(bureau, "nowhere.invalid:443");
      return asked && text;
    }, 2 * PATIENCE_MS);
    answer.catch(() => {});
    await card.waitFor();
    asked = true;
    await page.locator(".card", { hasText: "waits for approval" }).waitFor();
    await card.getByRole("button", { name: "Deny" }).click();
    assert.match(await answer, /^HTTP\/1\.1 403 /);
    await card.waitFor({ state: "detached" });
    const { decided } = await bureau.json<{ decided: { outcome: string; by: string }[] }>(
      ...["egress", "list"],
    );
    assert.deepEqual(
      [decided[0]!.outcome, decided[0]!.by],
      ["denied", `@operator:${bureau.homeserver.serverName}`],
    );
  });

  await step(t, bureau, "a tool call is allowed in the page", async () => {
    const hash = await principalHash("bureau/fleet/dev/agent/scribe");
    using proxy = createProxyClient({ socket: `${bureau.runDir}/p/${hash}/agent/proxy.sock` });
    const call = { tool: "Bash", permission: "delete", resource: "rm <b>x</b>" } as const;
    const leave = proxy.approval(call);
    const card = page.locator(".ask", { hasText: "asks whether it may call Bash" });
    await card.getByText("rm <b>x</b>", { exact: true }).waitFor();
    await card.getByRole("button", { name: "Allow once" }).click();
    assert.deepEqual(await leave, {
      approved: true,
      why: `@operator:${bureau.homeserver.serverName} approved it`,
    });
    await card.waitFor({ state: "detached" });
  });

  await step(t, bureau, "it goes on by itself when daemon or page process are killed", async () => {
    await page.goto(new URL(`/${WATCH}`, url).href);
    await page.reload();
    await shows(page, /listening; I know/);
    for (const role of ["web", "daemon"]) {
      const pid = await findProcess(bureau, (line) => line.includes(`/${role}.js`));
      Deno.kill(pid!, "SIGKILL");
      await eventually(`another ${role}`, async () => {
        const now = await findProcess(bureau, (line) => line.includes(`/${role}.js`));
        return now !== null && now !== pid;
      }, PATIENCE_MS);
    }
    // Logged in still, and nothing is drawn twice.
    await eventually("it is connected again", async () => {
      await take(page);
      return true;
    }, PATIENCE_MS);
    await page.keyboard.type("report src\n");
    await shows(page, /^src\/: 1 files/m);
    await eventually("it shows what the terminal shows", async () => {
      const { lines } = await bureau.json<{ lines: string[] }>("observe", "agent/scribe", "--dump");
      const wanted = lines.map((line) => line.trimEnd()).join("\n").trimEnd();
      assert.equal((await screenOf(page)).trimEnd(), wanted);
      return true;
    }, PATIENCE_MS);
    await eventually("the page's files are served again", async () => {
      const response = await page.reload();
      return response?.ok() === true && await page.locator(".card").first().isVisible();
    }, PATIENCE_MS);
  });

  await step(t, bureau, "whoever logs out is out", async () => {
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are logged out.").waitFor();
    assert.equal(await page.evaluate(async () => (await fetch("/v1/principals")).status), 401);
  });
}
