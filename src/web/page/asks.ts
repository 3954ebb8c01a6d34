// SPDX-License-Identifier: Apache-2.0

/** Questions about destinations that wait for an operator, with what answers them. */
import { api, ApiError, type Ask } from "./api.ts";
import { button, el, type View } from "./dom.ts";
import { ago, shortName } from "./names.ts";

const HOUR_MS = 3_600_000;

export function askList(onAsks: (pending: readonly Ask[]) => void): View {
  const element = el("section", { class: "asks", label: "Questions", role: "status" });
  // Whoever may not decide is told nothing: the stream is refused.
  const events = new EventSource("/v1/asks/events");
  events.onmessage = ({ data }) => {
    const { pending } = JSON.parse(data) as { pending: readonly Ask[] };
    element.replaceChildren(...pending.map(card));
    onAsks(pending);
  };

  function card(ask: Ask): HTMLElement {
    const failed = el("span", { class: "dim" });
    const buttons = el("div", { class: "buttons" });
    const decide =
      (verdict: "approve" | "deny", scope: "once" | "for", ms?: number) => async () => {
        for (const one of buttons.querySelectorAll("button")) one.disabled = true;
        try {
          await api.decide(ask.id, verdict, scope, ms);
        } catch (thrown) {
          failed.textContent = thrown instanceof ApiError ? thrown.message : "it did not arrive";
          for (const one of buttons.querySelectorAll("button")) one.disabled = false;
        }
      };
    buttons.append(
      button("Allow once", decide("approve", "once"), "primary"),
      button("Allow 1 h", decide("approve", "for", HOUR_MS)),
      button("Deny", decide("deny", "once")),
      failed,
    );
    return el(
      "div",
      { class: "ask" },
      el("div", {}, `${shortName(ask.principal)} wants to connect to`),
      el("code", {}, `${ask.host}:${ask.port}`),
      el("div", { class: "dim" }, `asked ${ago(ask.since)} ago`),
      buttons,
    );
  }

  return { element, close: () => events.close() };
}
