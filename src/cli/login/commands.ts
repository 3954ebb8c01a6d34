// SPDX-License-Identifier: Apache-2.0

/** `login`, `whoami` and `logout`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const loginCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["login"],
    tool: { none: "a password is a person's to give" },
    brief: "Log in with an account of your own, here or from another machine",
    docs:
      "For people with an account on the homeserver who are not the operator that `up` made. The password is asked for on the terminal, which does not " +
      "show it, or comes from --password-file or stdin; it is never stored. The session lies in `$XDG_CONFIG_HOME/bureau/session.json` " +
      "(or `~/.config/…`), mode 0600. From then on every command uses it, where the state directory has no Bureau of its own or one on the same " +
      "homeserver; `BUREAU_SESSION=FILE` insists on a session, and `BUREAU_SESSION=operator` on that of the state directory. What takes the operator's " +
      "signing key (`agent create` and the like) stays the operator's.",
    args: [{ name: "USER", brief: "`ada`, or `@ada:example.org`" }],
    flags: {
      homeserver: {
        kind: "text",
        brief:
          "its URL, or the name of its server, which says where it is (.well-known); unless given: USER's, or this machine's",
        placeholder: "URL",
      },
      "password-file": {
        kind: "text",
        brief: "a file whose first line is the password, or - for stdin",
        placeholder: "FILE",
      },
      fleet: {
        kind: "text",
        brief:
          "the fleet that names are of, such as bureau/fleet/dev; unless given: as your rooms say",
        placeholder: "FLEET",
      },
    },
    result: async () => (await import("./results.ts")).login,
    load: async () => (await import("./login.ts")).login,
  }),
  defineCommand({
    path: ["whoami"],
    tool: { effect: "reads" },
    brief: "Show whose session commands use, and where it comes from",
    flags: {
      verify: { kind: "switch", brief: "ask the homeserver whether it still knows the session" },
    },
    examples: ["sh tasks/bureau whoami", "sh tasks/bureau whoami --verify --json"],
    result: async () => (await import("./results.ts")).whoami,
    load: async () => (await import("./whoami.ts")).whoami,
  }),
  defineCommand({
    path: ["logout"],
    tool: { none: "it ends a person's own session" },
    brief: "End the session of `login`, and remove it from this machine",
    flags: {
      forget: {
        kind: "switch",
        brief: "remove it also where the homeserver can't be told; there it goes on until it ends",
      },
    },
    result: async () => (await import("./results.ts")).logout,
    load: async () => (await import("./logout.ts")).logout,
  }),
  defineCommand({
    path: ["discover-homeserver"],
    tool: { none: "`login` calls it" },
    brief: "Print the URL of a server's homeserver",
    args: [{ name: "SERVER", brief: "host, or host:port" }],
    hidden: true,
    load: async () => (await import("./discover.ts")).discover,
  }),
];
