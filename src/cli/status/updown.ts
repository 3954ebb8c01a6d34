// SPDX-License-Identifier: Apache-2.0

/** `up` and `down`, declared for help and completion: `sh tasks/bureau` hands them to `tasks/up`. */
import { type CommandSpec, defineCommand, type FlagSpec } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

const text = (brief: string, placeholder: string): FlagSpec => ({
  kind: "text",
  brief,
  placeholder,
});
const tool = { none: "a program is not to start or stop what it runs in" } as const;

/** This process may start nothing. */
const elsewhere = () =>
  Promise.reject(
    new CliError("usage", "Cannot start or stop Bureau from here", {
      hint: "run `sh tasks/bureau up`, or `deno task up`",
    }),
  );

export const upDownCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["up"],
    tool,
    brief: "Start Bureau on this machine; ctrl-C stops it again (`deno task up`)",
    docs:
      "Homeserver, launcher, daemon, web page, and an example agent. Most of the flags may stand in a file: see `bureau config`.",
    flags: {
      detach: {
        kind: "switch",
        brief: "start in the background, and return when everything is up",
      },
      repo: text("git repository that the example agent reports on", "PATH"),
      homeserver: text("use this Matrix homeserver instead of the embedded one", "URL"),
      "registration-token-file": text("file with the registration token of that one", "FILE"),
      join: text("join a fleet with a boot file of `bureau machine provision`", "FILE"),
      listen: text("where the embedded homeserver listens", "HOST:PORT"),
      authority: text("where the example's timestamp authority listens", "HOST:PORT"),
      web: text("where the web page listens, on loopback", "HOST:PORT"),
      "web-origin": text("the address of a reverse proxy in front of the web page", "URL"),
      "no-agent": { kind: "switch", brief: "without the example agent" },
    },
    raw: "it tells people what it starts and stops; `status --json` says what runs",
    load: () => Promise.resolve(elsewhere),
  }),
  defineCommand({
    path: ["down"],
    tool,
    brief: "Stop Bureau and every agent; the next `up` resumes (`deno task down`)",
    raw: "it tells people what it starts and stops; `status --json` says what runs",
    load: () => Promise.resolve(elsewhere),
  }),
];
