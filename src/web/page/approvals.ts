// SPDX-License-Identifier: Apache-2.0

/** Tool calls that wait for somebody's leave, with what answers them. */
import { api, ApiError, type Approval } from "./api.ts";
import { button, el, type View } from "./dom.ts";
import { ago, shortName } from "./names.ts";

export function approvalList(onChange: (pending: readonly Approval[]) => void): View {
  const element = el("section", { class: "asks", label: "Approvals", role: "status" });
  // Whoever may decide about no agent is told of none.
  const events = new EventSource("/v1/approvals/events");
  events.onmessage = ({ data }) => {
    const { pending } = JSON.parse(data) as { pending: readonly Approval[] };
    element.replaceChildren(...pending.map(card));
    onChange(pending);
  };

  function card({ id, principal, tool, resource, since }: Approval): HTMLElement {
    const failed = el("span", { class: "dim" });
    const buttons = el("div", { class: "buttons" });
    const decide = (verdict: "approve" | "deny") => async () => {
      const all = buttons.querySelectorAll("button");
      for (const one of all) one.disabled = true;
      try {
        await api.decideApproval(id, verdict);
      } catch (thrown) {
        failed.textContent = thrown instanceof ApiError ? thrown.message : "it did not arrive";
        for (const one of all) one.disabled = false;
      }
    };
    buttons.append(
      button("Allow once", decide("approve"), "primary"),
      button("Deny", decide("deny")),
      failed,
    );
    return el(
      "div",
      { class: "ask" },
      el("div", {}, `${shortName(principal)} asks whether it may call ${tool}`),
      el("code", {}, resource),
      el("div", { class: "dim" }, `asked ${ago(since)} ago`),
      buttons,
    );
  }

  return { element, close: () => events.close() };
}
