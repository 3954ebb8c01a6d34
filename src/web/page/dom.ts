// SPDX-License-Identifier: Apache-2.0

/** Elements from data. Text is always text: nothing here takes markup. */
type Child = Node | string | null;

interface Properties {
  readonly class?: string;
  readonly title?: string;
  readonly href?: string;
  readonly type?: string;
  readonly disabled?: boolean;
  readonly label?: string;
  readonly role?: string;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
}

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { class: name, title, href, type, disabled, label, role, on = {} } = properties;
  if (name !== undefined) element.className = name;
  if (title !== undefined) element.title = title;
  if (href !== undefined) element.setAttribute("href", href);
  if (type !== undefined) element.setAttribute("type", type);
  if (disabled === true) element.setAttribute("disabled", "");
  if (label !== undefined) element.setAttribute("aria-label", label);
  if (role !== undefined) element.setAttribute("role", role);
  for (const [event, act] of Object.entries(on)) element.addEventListener(event, act);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button with words. */
export const button = (text: string, act: () => void, name?: string): HTMLButtonElement =>
  el("button", {
    type: "button",
    ...(name === undefined ? {} : { class: name }),
    on: { click: act },
  }, text);

/** A part of the page that comes and goes. */
export interface View {
  readonly element: HTMLElement;
  /** Ends its timers and connections. */
  close(): void;
}
