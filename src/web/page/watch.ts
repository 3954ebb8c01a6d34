// SPDX-License-Identifier: Apache-2.0

/** One agent's terminal: looked at, and typed into by who took the keyboard. */
import { button, el, type View } from "./dom.ts";
import { keyRow } from "./keys.ts";
import { personName, shortName } from "./names.ts";
import { type Presence, Stream } from "./stream.ts";
import { showTerminal } from "./terminal.ts";

const BELL_MS = 1_200;

/** @param shared by a link that only shows */
export function watchView(
  principal: string,
  { shared }: { readonly shared: boolean },
): View {
  const place = el("div", { class: "screen" });
  const who = el("span", { class: "note grow" });
  const notice = el("div", { class: "notice hidden", role: "status" });
  const keyboard = button("Take the keyboard", () => toggle(), "primary");
  const title = el("h1", { class: "title" }, shortName(principal));
  const bar = el(
    "div",
    { class: "bar" },
    shared ? null : el("a", { class: "back", href: "#/", label: "Back to the list" }, "‹ Agents"),
    title,
    who,
    shared ? null : el(
      "a",
      { class: "note", href: `#/recordings/${encodeURIComponent(principal)}` },
      "Recordings",
    ),
    shared ? null : keyboard,
  );
  const keys = keyRow(
    (text) => stream.type(text),
    () => shown.terminal.modes.applicationCursorKeysMode,
  );
  const element = el("main", { class: "detail" }, bar, notice, place, keys.element);
  document.body.append(element);
  const shown = showTerminal(place);
  element.remove();
  const { terminal } = shown;
  let mine = false;
  let held: ReturnType<typeof setTimeout> | undefined;

  const say = (text: string | null) => {
    notice.textContent = text ?? "";
    notice.classList.toggle("hidden", text === null);
    fit();
  };
  const fit = () => {
    if (!element.isConnected) return;
    if (!mine) return shown.letterbox();
    const { cols, rows } = shown.room();
    stream.size(cols, rows);
  };
  function toggle(): void {
    if (mine) stream.release();
    else {
      // The size that it will have, told with the connection.
      const { cols, rows } = shown.room();
      stream.size(cols, rows);
      stream.take();
      terminal.focus();
    }
  }
  function presence(now: Presence): void {
    const others = now.watchers
      .filter(({ id }) => id !== now.writer?.id)
      .map((one) => personName(one.who));
    const typing = now.mine
      ? "you type"
      : now.writer === null
      ? null
      : `${personName(now.writer.who)} types`;
    const parts = [
      typing,
      others.length === 0 ? null : `also here: ${[...new Set(others)].join(", ")}`,
    ];
    who.textContent = parts.filter((part) => part !== null).join(" · ");
    keyboard.textContent = now.mine ? "Release the keyboard" : "Take the keyboard";
    keyboard.setAttribute("aria-pressed", String(now.mine));
    if (now.mine !== mine) {
      mine = now.mine;
      terminal.options.cursorBlink = mine;
      keys.show(mine && matchMedia("(pointer: coarse), (max-width: 760px)").matches);
      fit();
      if (mine) terminal.focus();
    }
  }

  const stream = new Stream(principal, {
    draw: ({ bytes }) => shown.write(bytes),
    resize: (cols, rows, fresh) => {
      if (fresh) terminal.reset();
      if (terminal.cols !== cols || terminal.rows !== rows) terminal.resize(cols, rows);
      // What xterm.js keeps of a wider screen is cut off by its style; this says where.
      place.dataset["cols"] = String(cols);
      fit();
    },
    presence,
    state: say,
    bell: () => {
      title.classList.add("badge", "warn");
      clearTimeout(held);
      held = setTimeout(() => title.classList.remove("badge", "warn"), BELL_MS);
    },
    ended: say,
  });
  terminal.onData((text) => {
    if (mine) stream.type(keys.through(text));
    else if (!shared) say("Take the keyboard to type.");
  });
  terminal.onBinary((text) => {
    if (mine) stream.type(text);
  });
  const resized = new ResizeObserver(() => fit());
  resized.observe(place);

  return {
    element,
    close: () => {
      resized.disconnect();
      clearTimeout(held);
      stream.close();
      shown.close();
    },
  };
}
