// SPDX-License-Identifier: Apache-2.0

/** Who comes without a session. */
import { api } from "./api.ts";
import { button, el, type View } from "./dom.ts";

/** @param why what a person should know first */
export function loginView(why: string | null, onLogin: () => void): View {
  const input = el("input", { type: "password", label: "Token" });
  input.autocomplete = "off";
  input.placeholder = "token";
  const error = el("p", { class: "error", role: "alert" }, why);
  const enter = async () => {
    error.textContent = "";
    try {
      await api.login(input.value.trim());
      onLogin();
    } catch (thrown) {
      error.textContent = thrown instanceof Error ? thrown.message : String(thrown);
    }
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") void enter();
  });
  const element = el(
    "main",
    { class: "login" },
    el("h1", {}, "Bureau"),
    el("p", {}, "To open this page, run this on the machine and follow the link that it prints:"),
    el("code", {}, "sh tasks/bureau web"),
    el("p", { class: "dim" }, "Or paste an operator token:"),
    input,
    button("Log in", () => void enter(), "primary"),
    error,
  );
  return { element, close: () => {} };
}

/** Takes the token out of the address, where it would stay in the history. */
export function tokenFromAddress(): string | null {
  const [, token] = /^#token=([\w-]{1,200})$/.exec(location.hash) ?? [];
  if (token === undefined) return null;
  history.replaceState(null, "", location.pathname);
  return token;
}
