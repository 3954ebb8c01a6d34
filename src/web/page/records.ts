// SPDX-License-Identifier: Apache-2.0

/** The recordings of one agent, the newest first. */
import { api } from "./api.ts";
import { el, type View } from "./dom.ts";
import { bytes, clockTime, shortName } from "./names.ts";

export function recordsView(principal: string): View {
  const note = el("p", { class: "notice", role: "status" }, "Looking…");
  const list = el("ul", { class: "records" });
  const watch = `#/watch/${encodeURIComponent(principal)}`;
  const element = el(
    "main",
    { class: "detail" },
    el(
      "div",
      { class: "bar" },
      el("a", { class: "back", href: "#/", label: "Back to the list" }, "‹ Agents"),
      el("h1", { class: "title grow" }, `${shortName(principal)}: recordings`),
      el("a", { class: "note", href: watch }, "Watch it now"),
    ),
    note,
    list,
  );
  void (async () => {
    try {
      const recordings = await api.recordings(principal);
      note.textContent = recordings.length === 0 ? "Nothing is recorded of it." : "";
      note.classList.toggle("hidden", recordings.length > 0);
      list.append(
        ...recordings.toReversed().map((one) => {
          const facts = [
            clockTime((one.ended - one.started) / 1000),
            bytes(one.bytes),
            one.open ? "still recorded" : null,
          ].filter((fact) => fact !== null);
          const href = `#/recordings/${encodeURIComponent(principal)}/${
            encodeURIComponent(one.id)
          }`;
          return el(
            "li",
            {},
            el(
              "a",
              { class: "card", href },
              el("div", { class: "name" }, new Date(one.started).toLocaleString()),
              el("div", { class: "facts" }, ...facts.map((fact) => el("span", {}, fact))),
            ),
          );
        }),
      );
    } catch (thrown) {
      note.textContent = thrown instanceof Error ? thrown.message : String(thrown);
    }
  })();
  return { element, close: () => {} };
}
