// SPDX-License-Identifier: Apache-2.0

/** What a driven program asks leave for goes to people, by the agent's proxy. */
import { gatedCall } from "../../src/agent/approval/call.ts";
import type { ApprovalRequest } from "../../src/agent/driver/mod.ts";
import { MAX_RESOURCE, MAX_TOOL } from "../../src/lib/approval/limits.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { say } from "./terminal.ts";

export class Leave {
  readonly #proxy: Pick<ProxyClient, "approval">;
  #turn = new AbortController();

  constructor(proxy: Pick<ProxyClient, "approval">) {
    this.#proxy = proxy;
  }

  /** What its program holds for harmless it never asks about, so whatever it does ask about is asked. */
  readonly approve = async ({ tool, input }: ApprovalRequest): Promise<boolean> => {
    const { signal } = this.#turn;
    const call = gatedCall(tool, input) ??
      { tool, permission: "other" as const, resource: JSON.stringify(input) ?? "" };
    if (call.resource.length > MAX_RESOURCE || tool === "" || tool.length > MAX_TOOL) {
      say(`${tool.slice(0, MAX_TOOL)}: refused, it is too long to ask about`);
      return false;
    }
    const { approved, why } = await this.#proxy.approval(call, { signal });
    say(`${tool}: ${approved ? "allowed" : "refused"}, ${why}`);
    return approved;
  };

  /** Nobody waits for the answers of this turn any more. */
  cancel(): void {
    this.#turn.abort();
    this.#turn = new AbortController();
  }
}
