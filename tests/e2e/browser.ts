// SPDX-License-Identifier: Apache-2.0

/** Debian's Chromium, as a person's browser: everything it does is listened to, and it leaves nothing behind. */
import assert from "node:assert/strict";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { lacks } from "../../src/lib/testing/skip.ts";
import { commandLine, eventually } from "./harness.ts";

const CHROMIUM = "/usr/bin/chromium";
export const DESKTOP = { width: 1200, height: 760 } as const;
export const PHONE = { width: 390, height: 780 } as const;
/** For whatever a person would wait for on a slow machine. */
export const PATIENCE_MS = 60_000;

export interface Person {
  readonly context: BrowserContext;
  readonly page: Page;
}

export class Browsers {
  /** What no page may do: break its own policy, throw, or ask anybody else. */
  readonly faults: string[] = [];
  readonly #home: string;
  readonly #browser: Browser;

  private constructor(home: string, browser: Browser) {
    this.#home = home;
    this.#browser = browser;
  }

  /** Null: the test is skipped, and says why. */
  static async open(t: Deno.TestContext): Promise<Browsers | null> {
    if (await lacks(t, CHROMIUM, "chromium")) return null;
    // Only where it is used: it is large.
    const { chromium } = await import("playwright-core");
    const home = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-chromium-" });
    const env = {
      HOME: home,
      TMPDIR: home,
      XDG_CONFIG_HOME: home,
      XDG_CACHE_HOME: home,
      PATH: "/usr/bin:/bin",
    };
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      env,
      // Root has no other way, and what it shows here is ours.
      args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"],
      timeout: 120_000,
    });
    return new Browsers(home, browser);
  }

  /** A browser of its own: no cookie of another's. */
  async person(
    options: { readonly phone?: boolean; readonly light?: boolean } = {},
  ): Promise<Person> {
    const context = await this.#browser.newContext({
      viewport: options.phone ? PHONE : DESKTOP,
      colorScheme: options.light ? "light" : "dark",
      ...(options.phone ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {}),
    });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        const { violatedDirective: rule, blockedURI: uri } = event as unknown as Record<
          string,
          string
        >;
        console.error(`POLICY ${rule} ${uri}`);
      });
    });
    context.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (protocol === "data:" || protocol === "blob:") return;
      if (!["127.0.0.1", "localhost", "[::1]"].includes(hostname)) {
        this.faults.push(`a request to ${request.url()}`);
      }
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => this.faults.push(`the page threw: ${error.message}`));
    page.on("console", (message) => {
      // Of requests that fail the browser tells too; some are meant to.
      const about = /^(Failed to load resource|WebSocket connection to )/;
      if (message.type() === "error" && !about.test(message.text())) {
        this.faults.push(message.text());
      }
    });
    return { context, page };
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await eventually("Chromium is gone", async () => {
      for await (const { name } of Deno.readDir("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        if ((await commandLine(Number(name))).includes(this.#home)) return false;
      }
      return true;
    }, PATIENCE_MS);
    await Deno.remove(this.#home, { recursive: true });
    assert.deepEqual(this.faults, [], "what the page did and may not");
  }
}

/** What stands in the page's terminal. */
export async function screenOf(page: Page): Promise<string> {
  const cols = Number(await page.locator(".screen").getAttribute("data-cols"));
  const rows = await page.locator(".xterm-rows > div").allTextContents();
  // Of a screen that was wider xterm.js keeps what nobody sees any more.
  return rows.map((row) => row.replaceAll("\u00a0", " ").slice(0, cols).trimEnd()).join("\n");
}

/** Waits until the page's terminal shows it. @returns the screen */
export async function shows(page: Page, wanted: RegExp): Promise<string> {
  return await eventually(`the page shows ${wanted}`, async () => {
    const screen = await screenOf(page);
    if (wanted.test(screen)) return screen;
    throw new Error(`it shows:\n${screen}`);
  }, PATIENCE_MS);
}
