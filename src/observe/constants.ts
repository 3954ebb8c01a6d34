// SPDX-License-Identifier: Apache-2.0

/** Apart from `api.ts`, so that the relay, one process a principal, loads no schema library. */

export const OBSERVE_PROTOCOL = "bureau.observe.v2";
/** In-cell path of the relay's listener and of the tmux server's socket. */
export const RELAY_SOCKET = "/run/bureau/observe/relay.sock";
export const RELAY_TMUX_SOCKET = "/run/bureau/tmux/tmux.sock";
export const RELAY_RECORDINGS = "/run/bureau/recordings";
/** Written by the pane when its sandbox ends. */
export const RELAY_EXIT_FILE = "/run/bureau/tmux/exit";
/** Output on its way to a watcher that acknowledges, bytes. */
export const FLOW_WINDOW_BYTES = 256 * 1024;
/** What a relay keeps of its stream, for who comes back or wants to see what was. */
export const HISTORY_BYTES = 2 * 1024 * 1024;
export const HISTORY_MS = 30 * 60_000;
/** Longest input frame, its kind included. */
export const MAX_INPUT_FRAME = 64 * 1024 + 1;
