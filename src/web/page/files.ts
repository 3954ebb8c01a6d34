// SPDX-License-Identifier: Apache-2.0

/** The page's files beside its script, as text: the style sheet is xterm.js's own and ours after it. */
import terminal from "@xterm/xterm/css/xterm.css" with { type: "text" };
import page from "./page.css" with { type: "text" };
import index from "./index.html" with { type: "text" };

export const style = `${terminal}\n${page}`;
export { index };
