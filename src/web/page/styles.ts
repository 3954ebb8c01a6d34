// SPDX-License-Identifier: Apache-2.0

/**
 * xterm.js writes style sheets and style attributes as text, which this page's policy refuses, as it would refuse
 * those of an attacker. What it writes goes into a constructed style sheet and the style object instead: neither
 * is made of markup.
 */

/** Stands where xterm.js wants a `<style>`, and hands its text to a sheet of the document. */
class SheetElement extends HTMLElement {
  readonly #sheet = new CSSStyleSheet();
  #text = "";

  override get textContent(): string {
    return this.#text;
  }

  override set textContent(text: string | null) {
    this.#text = text ?? "";
    this.#sheet.replaceSync(this.#text);
  }

  connectedCallback(): void {
    this.hidden = true;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
  }

  disconnectedCallback(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== this.#sheet);
  }
}

/** Before the first terminal is opened. */
export function styleWithoutMarkup(): void {
  customElements.define("bureau-sheet", SheetElement);
  const createElement = document.createElement.bind(document);
  document.createElement =
    ((name: string, options?: ElementCreationOptions) =>
      createElement(name === "style" ? "bureau-sheet" : name, options)) as typeof createElement;
  const { setAttribute } = HTMLElement.prototype;
  HTMLElement.prototype.setAttribute = function (name: string, value: string): void {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
