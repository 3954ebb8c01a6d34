// SPDX-License-Identifier: Apache-2.0

/** Which pages are followed, in which order, and what a test does with each command that they show. */
import assert from "node:assert/strict";
import type { PersonTerminal } from "../e2e/terminal.ts";
import type { DocumentedCommand } from "./commands.ts";

/** In reading order: one Bureau goes through them all. */
export const PAGES: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "docs/guide/quick-start.md",
  "docs/guide/first-agent.md",
  "docs/guide/agents.md",
  "docs/guide/credentials.md",
  "docs/guide/deployment.md",
  "docs/guide/egress.md",
  "docs/guide/environments.md",
  "docs/guide/homeserver.md",
  "docs/guide/machines.md",
  "docs/guide/configuration.md",
  "docs/guide/approvals.md",
  "docs/guide/attention.md",
  "docs/guide/mcp.md",
  "docs/guide/metrics.md",
  "docs/guide/sandbox.md",
  "docs/guide/native-agent.md",
  "docs/guide/people.md",
  "docs/guide/phone-and-browser.md",
  "docs/guide/repositories.md",
  "docs/guide/services.md",
  "docs/guide/sessions.md",
  "docs/guide/shell.md",
  "docs/guide/ssh.md",
  "docs/guide/templates.md",
  "docs/guide/two-agents.md",
  "docs/guide/upgrades.md",
  "docs/guide/watching.md",
  "docs/guide/workers.md",
  "docs/guide/authorization.md",
  "docs/guide/life.md",
  "docs/guide/limits.md",
  "deploy/compose/README.md",
  "docs/guide/production-homeserver.md",
  "docs/reference/cli.md",
];

/** What a command is for a test. */
export type Treatment =
  | { readonly kind: "run" }
  /** About an agent that a line before it made: it may take a moment to start. */
  | { readonly kind: "once-running" }
  /** Starts in the foreground until ctrl-C: here detached, on free ports. */
  | { readonly kind: "start" }
  /** Needs a person: waits for `sees` on a terminal, then does `types`, and must end well. */
  | {
    readonly kind: "person";
    readonly sees: RegExp;
    readonly types: (person: PersonTerminal) => Promise<void>;
  }
  /** Run where `up` could make control groups. */
  | { readonly kind: "limits" }
  /** Not run here. */
  | { readonly kind: "not-run"; readonly reason: string };

const WHOLE_SUITE = "it runs this test too, with all others; CI runs it";
const ON_A_BARE_MACHINE = "tests/slow/bare_machine_test.ts does it on a bare machine";
const OTHER_HOMESERVER = "it needs another homeserver; tests/slow/homeservers_test.ts does it";
const SECOND_MACHINE = "it needs a second machine; tests/e2e/two_machines_test.ts has one";
export const RULES: readonly (readonly [RegExp, Treatment])[] = [
  [/^sh tasks\/bureau .*agent\/helper/, {
    kind: "not-run",
    reason:
      "its key is the reader's own; tests/e2e/native_agent_test.ts has a model that needs none",
  }],
  [/^git clone <this repository> /, { kind: "not-run", reason: ON_A_BARE_MACHINE }],
  [/^(sudo .*|git pull && .*|systemctl .*|journalctl .*|ls \/usr\/lib\/bureau.*)$/, {
    kind: "not-run",
    reason: "it is about a whole machine; tests/slow/systemd_test.ts has one",
  }],
  [/^sh tasks\/bootstrap bundle$/, { kind: "run" }],
  [/^sh tasks\/bootstrap (ok|test)$/, { kind: "not-run", reason: WHOLE_SUITE }],
  [/^deno task (ok|test|test:slow|test:live)$/, { kind: "not-run", reason: WHOLE_SUITE }],
  [/^eval "\$\(sh tasks\/bureau completion /, {
    kind: "not-run",
    reason: "it is for an interactive shell; tests/e2e/completion_test.ts types it into three",
  }],
  [/^sh tasks\/bureau (login|logout|matrix user create)/, {
    kind: "not-run",
    reason: "a password is the reader's own; tests/e2e/login_test.ts goes through it",
  }],
  [/^sh tasks\/bureau agent create$/, {
    kind: "not-run",
    reason: "it asks its reader; tests/e2e/create_test.ts answers",
  }],
  [/^sh tasks\/bureau tutorial$/, {
    kind: "not-run",
    reason: "it waits for its reader; tests/e2e/tutorial_test.ts is one",
  }],
  [/^claude mcp add /, { kind: "not-run", reason: "it changes Claude Code's own settings" }],
  [/^sh tasks\/bureau mcp serve --http /, {
    kind: "not-run",
    reason: "it serves until ctrl-C; tests/e2e/mcp_test.ts does it",
  }],
  [/^sh tasks\/bureau worker (serve |run --remote )/, {
    kind: "not-run",
    reason: "it takes two machines; tests/escape/remote_test.ts is both",
  }],
  [/^sh tasks\/up .*--join /, { kind: "not-run", reason: SECOND_MACHINE }],
  [/^sh tasks\/bureau machine revoke /, {
    kind: "not-run",
    reason: "the machine has left already; tests/e2e/machine_life_test.ts does it",
  }],
  [/^sh tasks\/bureau machine upgrade worker /, {
    kind: "not-run",
    reason: "its release is the reader's own; tests/slow/upgrade_asked_test.ts does it",
  }],
  [/^sh tasks\/bureau .* --machine worker/, {
    kind: "not-run",
    reason: SECOND_MACHINE,
  }],
  [/^sh tasks\/(up|bureau matrix setup) --homeserver /, {
    kind: "not-run",
    reason: OTHER_HOMESERVER,
  }],
  [/^(export )?BUREAU_TEST_/, { kind: "not-run", reason: OTHER_HOMESERVER }],
  [/^(sh deploy\/compose\/|cd \/srv\/matrix|docker compose|umask 077|tar )/, {
    kind: "not-run",
    reason: "it takes a container engine; tests/homeserver/deploy_test.ts and " +
      "tests/slow/deployed_test.ts do what can be done without",
  }],
  [/^sh tasks\/bureau agent drain --all$/, {
    kind: "not-run",
    reason: "the lines after it need their agents; tests/e2e/life_test.ts does it",
  }],
  [/^deno task bench$/, { kind: "not-run", reason: "it measures for minutes, alone on a machine" }],
  [/^(sh tasks\/bootstrap up|sh tasks\/up|deno task up)$/, { kind: "start" }],
  [/^sh tasks\/bureau log tail /, {
    kind: "person",
    sees: /^\d\d:\d\d:\d\d /m,
    types: (person) => person.press("C-c"),
  }],
  [/^sh tasks\/bureau log play /, {
    kind: "person",
    // A recording that is short is over, and the terminal as it was, before anybody looks.
    sees: /^\d\d:\d\d:\d\d |^the recording ends here/m,
    types: (person) => person.press("q"),
  }],
  [/^sh tasks\/bureau observe (?!.*--dump)/, {
    kind: "person",
    // The agent's own lines begin with the time.
    sees: /^\d\d:\d\d:\d\d /m,
    types: (person) => person.press("C-]", "d"),
  }],
  [/^sh tasks\/bureau dashboard(?!.*--json)/, {
    kind: "person",
    // From the agent's own pane, left or right, and from what counts them.
    sees: /(?:^|│)\d\d:\d\d:\d\d [^]* of \d+ run/m,
    types: (person) => person.press("C-a", "d"),
  }],
  [/^(EDITOR=\S+ )?sh tasks\/bureau layout (edit|set (?!-))/, {
    kind: "not-run",
    reason: "its file is the reader's own; tests/e2e/dashboard_test.ts goes through it",
  }],
  [/^sh tasks\/bureau agent destroy (?!.*--(yes|dry-run))/, {
    kind: "person",
    sees: /Type yes:/,
    types: (person) => person.enter("yes"),
  }],
  [/^sh tasks\/bureau sandbox run --(allow-host|credential) /, {
    kind: "not-run",
    reason: "it leads to the Internet; tests/interop/sandbox_run_test.ts does it on loopback",
  }],
  [/^sh tasks\/bureau environment (?!list)/, {
    kind: "not-run",
    reason: "it needs Nix; tests/slow/environment_test.ts goes through all of them",
  }],
  [/^sh tasks\/bureau (template .*|agent create .*template:)(reviewer|tools)/, {
    kind: "not-run",
    reason: "its file is the reader's own; tests/e2e/template_test.ts goes through it",
  }],
  [
    /^sh tasks\/bureau (template push coder\.yaml|agent (create|diff|log|merge|drain|discard) (one|two))\b/,
    {
      kind: "not-run",
      reason: "its repository is the reader's own; tests/e2e/repositories_test.ts goes through it",
    },
  ],
  [/^(gh auth token \| )?sh tasks\/bureau credential (provision|rotate|remove|import) /, {
    kind: "not-run",
    reason: "its secrets are the reader's own; tests/e2e/credential_test.ts goes through it",
  }],
  [/^sh tasks\/bureau agent install (claude|codex)$/, {
    kind: "not-run",
    reason: "it fetches 400 MB; tests/slow/agents_test.ts does it",
  }],
  [/^sh tasks\/bureau (agent (create|join|leave) (ada|ben) .*(codex|room\/)|matrix \w+ room\/)/, {
    kind: "not-run",
    reason: "its keys are the reader's own; tests/e2e/two_agents_test.ts goes through it",
  }],
  [/^sh tasks\/bureau (agent create ada |template push login)/, {
    kind: "not-run",
    reason: "its key is the reader's own; tests/slow/agents_test.ts has one for a mock",
  }],
  [/^ssh (-N )?-L /, {
    kind: "not-run",
    reason: "it leads to another computer; tests/e2e/web_beyond_test.ts does it on loopback",
  }],
  [/^sh tasks\/bureau web --lan( --address 100\S+)?$/, {
    kind: "not-run",
    reason: "it listens beyond this machine; tests/e2e/web_beyond_test.ts does it where it can",
  }],
  [/^ssh-key(gen|scan) /, {
    kind: "not-run",
    reason: "it is about a person's own host; tests/interop/ssh_test.ts does it on loopback",
  }],
  [/^sh tasks\/bureau agent ((usage|freeze|thaw|kill) |list --usage)/, { kind: "limits" }],
  [/^sh tasks\/bureau observe .* --dump$/, { kind: "once-running" }],
  // The line before it created the service that is asked.
  [/^sh tasks\/bureau agent (session|context) /, { kind: "once-running" }],
  // Recorded some time after the agent's start.
  [/^sh tasks\/bureau log (show|export) /, { kind: "once-running" }],
  [
    /^(((echo (\S+|"[^"]*"|'[^']*')|seq \d+) \| )?sh tasks\/bureau .*|sh tasks\/up --down|deno task (status|down))$/,
    {
      kind: "run",
    },
  ],
];

/** Takes seconds and leaves all as it was: in the reference it is run only where no page ran the very same. */
export const LOOKS =
  /^(seq \d+ \| )?sh tasks\/bureau (doctor|sandbox (check|run)|worker (run|pool)|log (list|show|export)) ?/;

export function treatmentOf(command: DocumentedCommand): Treatment {
  const found = RULES.find(([pattern]) => pattern.test(command.text));
  assert.ok(
    found !== undefined,
    `${command.page}:${command.line}: "${command.text}" is neither run nor excused by a rule of this test`,
  );
  return found[1];
}
