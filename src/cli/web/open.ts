// SPDX-License-Identifier: Apache-2.0

/** `web`: a one-time link, and where the page listens. */
import { renderUnicodeCompact } from "uqr";
import { systemClock } from "../../lib/clock.ts";
import type { WebStatus } from "../../daemon/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession } from "../session.ts";
import type * as results from "./results.ts";

/** A daemon that was just started listens a moment later. */
const LISTEN_DEADLINE_MS = 10_000;
const POLL_MS = 100;

export const open: CommandHandler<typeof results.open> = async (call) => {
  const { flags, signal } = call;
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const lan = flags["lan"] === true;
    if (lan && flags["loopback"] === true) {
      throw new CliError("usage", "Cannot do both: --lan and --loopback exclude each other");
    }
    let status = await listening(() => daemon.call("web", { signal }));
    if (lan || flags["loopback"] === true) {
      const address = lan ? lanAddress(call) : null;
      status = await daemon.call("webListen", { body: { address }, signal });
      if (!lan) {
        call.print("the page listens on loopback alone");
        return status;
      }
    }
    const issued = await daemon.call("webLink", { signal });
    // The local network's is the last but the proxies'.
    const url = lan ? issued.urls[1]! : issued.urls[0]!;
    call.print(url);
    call.print("");
    call.print("Works once, within ten minutes, in one browser, with your rights.");
    if (lan) sayLan(call, status);
    else if (status.addresses.length > 1 || status.origins.length > 0) {
      for (const other of issued.urls.slice(1)) call.print(`  or ${other}`);
    }
    if (lan || flags["qr"] === true) {
      call.print("");
      call.print(renderUnicodeCompact(url, { border: 2 }));
    }
    return { ...issued, ...status };
  } finally {
    daemon.close();
  }
};

async function listening(ask: () => Promise<WebStatus>): Promise<WebStatus> {
  const deadline = systemClock.now() + LISTEN_DEADLINE_MS;
  while (true) {
    const status = await ask();
    if (status.addresses[0]?.url.startsWith("http://")) return status;
    if (systemClock.now() > deadline) {
      throw new CliError(
        "not-listening",
        `Cannot open the page: it does not listen${
          status.problem === null ? "" : ` (${status.problem})`
        }`,
        { hint: "`web` in bureau.yaml, or --web at `deno task up`, names another address" },
      );
    }
    await systemClock.sleep(POLL_MS);
  }
}

/** Found by `tasks/bureau`: this process may not look at the machine's interfaces. */
function lanAddress({ flags }: Invocation): string {
  const address = flags["address"];
  if (typeof address === "string" && address !== "") return address;
  throw new CliError("usage", "Cannot listen on the local network: which address is not known", {
    hint: "`hostname -I` prints this machine's; give one with --address",
  });
}

function sayLan(call: Invocation, { addresses, authority }: WebStatus): void {
  const { authority_sha256: digest } = addresses.find(({ url }) => url.startsWith("https:"))!;
  call.print("");
  call.print(
    "The browser does not know this page's authority. Either go on past its warning after comparing",
  );
  call.print(`its fingerprint (SHA-256), or have the device trust it:`);
  call.print(`  ${digest}`);
  call.print("");
  call.print(authority!.trim());
}
