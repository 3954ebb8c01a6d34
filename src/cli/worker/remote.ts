// SPDX-License-Identifier: Apache-2.0

/** `worker run --remote`: on whose machine the worker is to be, and how that machine is known. */
import type { ParentBootstrap } from "../../agent/parent/api.ts";
import { authorityOf, targetOfEndpoint } from "../../lib/authority.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { type Given, textFlag } from "./document.ts";

const PIN = /^sha256:[0-9a-f]{64}$/i;

export type Remote = NonNullable<ParentBootstrap["remote"]>;

/** Undefined: on this machine. Says in `spec` where it is placed. */
export function remoteBy(
  call: Invocation,
  given: Given,
  spec: Record<string, unknown>,
): Remote | undefined {
  const placement = spec["placement"] as { kind?: unknown; endpoint?: unknown } | undefined;
  const named = placement?.kind === "remote" ? String(placement.endpoint) : undefined;
  const endpoint = textFlag(call, "remote") ?? named;
  const pin = textFlag(call, "pin");
  if (endpoint === undefined) {
    if (pin === undefined && given.token === undefined) return undefined;
    throw new CliError("usage", "Cannot use --pin or --token-file: no other machine is named", {
      hint: "give --remote wss://HOST:PORT",
    });
  }
  const target = targetOfEndpoint(endpoint);
  if (target === null) {
    throw new CliError("usage", `Cannot place a worker at "${endpoint}": not wss://HOST:PORT`, {
      hint: "there is no way to it without TLS",
    });
  }
  if (pin === undefined || !PIN.test(pin)) {
    throw new CliError("usage", `Cannot trust "${endpoint}": give --pin sha256:…`, {
      hint: "`worker serve` prints it there when it begins to listen",
    });
  }
  const token = given.token?.trim() ?? "";
  if (!/^\S{1,4096}$/.test(token)) {
    throw new CliError("usage", `Cannot use "${endpoint}": give --token-file FILE with its token`, {
      hint: "`worker serve` prints it there once; `worker serve --new-token` makes another",
    });
  }
  const address = authorityOf(target);
  spec["placement"] = { kind: "remote", endpoint: `wss://${address}` };
  return { address, pin: pin.toLowerCase(), token };
}

/** @throws {CliError} for a flag that says what a sandbox on this machine is made of, or which worker here it is */
export function refuseHere(flag: string | undefined): void {
  if (flag === undefined) return;
  throw new CliError(
    "usage",
    `Cannot use --${flag} with --remote: the worker is on another machine`,
    {
      hint: "what its sandbox holds is said there, to `worker serve`",
    },
  );
}
