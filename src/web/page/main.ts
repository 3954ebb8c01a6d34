// SPDX-License-Identifier: Apache-2.0

/** The page: who is logged in, the list, and what is looked at. Its address says which. */
import { api, sessionEnd, type SessionView } from "./api.ts";
import { approvalList } from "./approvals.ts";
import { askList } from "./asks.ts";
import { button, el, type View } from "./dom.ts";
import { agentList } from "./list.ts";
import { loginView, tokenFromAddress } from "./login.ts";
import { personName } from "./names.ts";
import { playerView } from "./player.ts";
import { recordsView } from "./records.ts";
import { styleWithoutMarkup } from "./styles.ts";
import { watchView } from "./watch.ts";

styleWithoutMarkup();
const app = document.getElementById("app")!;
let current: View | null = null;

function show(view: View): void {
  current?.close();
  current = view;
  app.replaceChildren(view.element);
}

async function start(why: string | null): Promise<void> {
  const token = tokenFromAddress();
  let problem = why;
  if (token !== null) {
    try {
      await api.login(token);
    } catch (thrown) {
      problem = thrown instanceof Error ? thrown.message : String(thrown);
    }
  }
  const session = await api.session().catch(() => null);
  if (session === null || (token !== null && problem !== null)) {
    return show(loginView(problem, () => void start(null)));
  }
  if (session.kind === "share") show(sharedView(session));
  else show(operatorView(session));
}

/** By a shared link: one terminal, to look at. */
function sharedView({ principal }: SessionView): View {
  const watch = watchView(principal!, { shared: true });
  const element = el("div", { class: "detail" }, watch.element);
  element.style.height = "100%";
  watch.element.style.flex = "1";
  return { element, close: () => watch.close() };
}

function operatorView(session: SessionView): View {
  const list = agentList(() => {});
  const open = { asks: 0, approvals: 0 };
  const count = (change: Partial<typeof open>) => {
    const all = Object.assign(open, change);
    const sum = all.asks + all.approvals;
    document.title = sum === 0 ? "Bureau" : `(${sum}) Bureau`;
  };
  const asks = askList((pending) => {
    list.asks(pending);
    count({ asks: pending.length });
  });
  const approvals = approvalList((pending) => count({ approvals: pending.length }));
  const side = el("aside", { class: "side" }, approvals.element, asks.element, list.element);
  const nothing = el("div", { class: "empty" }, "Choose an agent to watch it.");
  const detail = el("div", { class: "detail" }, nothing);
  const panes = el("div", { class: "panes" }, side, detail);
  const leave = button(
    "Log out",
    () => void api.logout().finally(() => start("You are logged out.")),
  );
  const element = el(
    "div",
    { class: "detail" },
    el(
      "header",
      { class: "top" },
      el("h1", {}, "Bureau"),
      el("span", { class: "who grow" }, personName(session.user ?? "")),
      leave,
    ),
    panes,
  );
  element.style.height = "100%";
  let opened: View | null = null;

  const route = () => {
    const [, what, name, id] =
      /^#\/(watch|recordings)\/([^/]+)(?:\/([^/]+))?$/.exec(location.hash) ?? [];
    opened?.close();
    opened = null;
    const principal = name === undefined ? null : decoded(name);
    if (principal !== null) opened = viewOf(principal, what!, id);
    list.select(principal);
    panes.classList.toggle("detailed", opened !== null);
    detail.replaceChildren(opened?.element ?? nothing);
  };
  addEventListener("hashchange", route);
  queueMicrotask(route);
  return {
    element,
    close: () => {
      removeEventListener("hashchange", route);
      opened?.close();
      list.close();
      asks.close();
      approvals.close();
    },
  };
}

function viewOf(principal: string, what: string, id: string | undefined): View | null {
  if (what === "watch") return watchView(principal, { shared: false });
  const recording = id === undefined ? null : decoded(id);
  return recording === null ? recordsView(principal) : playerView(principal, recording);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

sessionEnd.act = () => {
  if (current?.element.classList.contains("login") !== true) void start("Your session has ended.");
};
// A link that is opened where the page is open already changes only the fragment.
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) void start(null);
});
void start(null);
