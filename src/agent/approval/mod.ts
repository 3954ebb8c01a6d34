// SPDX-License-Identifier: Apache-2.0

/** Leave for tool calls: the gate in the executor, who is asked, and who decides about a child's calls. */
import type { Leave, ProxyClient } from "../../lib/proxyclient/mod.ts";
import { approvalBody } from "./chain.ts";
import type { AskLeave } from "./gate.ts";

export { describedCall, type GatedCall, gatedCall } from "./call.ts";
export { approvalBody, createParentDecider, type ParentDeciders } from "./chain.ts";
export { forcedReason } from "./forced.ts";
export { type AskLeave, createGate, type Gate, type GateOptions } from "./gate.ts";
export { createReview, type ModelAsk, modelAsk } from "./review.ts";

/** People, by this sandbox's proxy. */
export function askThroughProxy(proxy: Pick<ProxyClient, "approval">): AskLeave {
  return (call, signal) => proxy.approval(call, { signal });
}

/** A worker's parent, which decides or passes it on. @param approve of the worker's run */
export function askParent(approve: (body: unknown) => Promise<boolean>): AskLeave {
  return async (call): Promise<Leave> =>
    await approve(approvalBody(call))
      ? { approved: true, why: "the parent approved it" }
      : { approved: false, why: "denied by the host" };
}
