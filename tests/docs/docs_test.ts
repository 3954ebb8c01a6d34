// SPDX-License-Identifier: Apache-2.0

/**
 * Every command that the documentation shows works: each line of each `sh` block is run against a Bureau of
 * this test's own, in the order of the page, or stands below with the reason why not.
 */
import assert from "node:assert/strict";
import { type Bureau, eventually, ROOT, run, withBureau } from "../e2e/harness.ts";
import { PersonTerminal } from "../e2e/terminal.ts";
import { commandsOf, type DocumentedCommand } from "./commands.ts";

/** In reading order: one Bureau goes through them all. */
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "docs/guide/first-agent.md",
  "docs/guide/agents.md",
  "docs/guide/credentials.md",
  "docs/guide/homeserver.md",
  "docs/guide/machines.md",
  "docs/guide/configuration.md",
  "docs/guide/approvals.md",
  "docs/guide/attention.md",
  "docs/guide/mcp.md",
  "docs/guide/sandbox.md",
  "docs/guide/native-agent.md",
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
  "docs/reference/cli.md",
];

/** What a command is for a test. */
type Treatment =
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
const RULES: readonly (readonly [RegExp, Treatment])[] = [
  [/^sh tasks\/bureau .*agent\/helper/, {
    kind: "not-run",
    reason:
      "its key is the reader's own; tests/e2e/native_agent_test.ts has a model that needs none",
  }],
  [/^git clone <this repository> /, { kind: "not-run", reason: ON_A_BARE_MACHINE }],
  [/^sh tasks\/bootstrap (ok|test)$/, { kind: "not-run", reason: WHOLE_SUITE }],
  [/^deno task (ok|test|test:slow|test:live)$/, { kind: "not-run", reason: WHOLE_SUITE }],
  [/^eval "\$\(sh tasks\/bureau completion /, {
    kind: "not-run",
    reason: "it is for an interactive shell; tests/e2e/completion_test.ts types it into three",
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
  [/^sh tasks\/bureau agent destroy (?!.*--yes)/, {
    kind: "person",
    sees: /Type yes:/,
    types: (person) => person.enter("yes"),
  }],
  [/^sh tasks\/bureau sandbox run --(allow-host|credential) /, {
    kind: "not-run",
    reason: "it leads to the Internet; tests/interop/sandbox_run_test.ts does it on loopback",
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
  [/^ssh -L /, {
    kind: "not-run",
    reason: "it leads to another computer; tests/e2e/web_beyond_test.ts does it on loopback",
  }],
  [/^sh tasks\/bureau web --lan$/, {
    kind: "not-run",
    reason: "it listens beyond this machine; tests/e2e/web_beyond_test.ts does it where it can",
  }],
  [/^ssh-key(gen|scan) /, {
    kind: "not-run",
    reason: "it is about a person's own host; tests/interop/ssh_test.ts does it on loopback",
  }],
  [/^sh tasks\/bureau agent (usage|freeze|thaw|kill) /, { kind: "limits" }],
  [/^sh tasks\/bureau observe .* --dump$/, { kind: "once-running" }],
  // The line before it created the service that is asked.
  [/^sh tasks\/bureau agent (session|context) /, { kind: "once-running" }],
  // Recorded some time after the agent's start.
  [/^sh tasks\/bureau log (show|export) /, { kind: "once-running" }],
  [
    /^(((echo (\S+|"[^"]*")|seq \d+) \| )?sh tasks\/bureau .*|sh tasks\/up --down|deno task (status|down))$/,
    {
      kind: "run",
    },
  ],
];

function treatmentOf(command: DocumentedCommand): Treatment {
  const found = RULES.find(([pattern]) => pattern.test(command.text));
  assert.ok(
    found !== undefined,
    `${command.page}:${command.line}: "${command.text}" is neither run nor excused by a rule of this test`,
  );
  return found[1];
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** The environment in which a documented command, word for word, means this test's Bureau. */
function environment(bureau: Bureau): string {
  const deno = Deno.execPath();
  return [
    `BUREAU_STATE_DIR=${quoted(bureau.stateDir)}`,
    `BUREAU_RUN_DIR=${quoted(bureau.runDir)}`,
    `PATH=${quoted(deno.slice(0, deno.lastIndexOf("/")))}:"$PATH"`,
  ].join(" ");
}

async function shell(bureau: Bureau, text: string): Promise<void> {
  const done = await run("sh", ["-c", `export ${environment(bureau)}; ${text}`]);
  assert.equal(done.code, 0, `${text}: status ${done.code}\n${done.stdout}${done.stderr}`);
}

async function start(bureau: Bureau, text: string): Promise<void> {
  // A page may start what the page before it left running.
  await bureau.down();
  const ports = `--listen 127.0.0.1:${bureau.ports.homeserver} ` +
    `--authority 127.0.0.1:${bureau.ports.authority}`;
  await shell(bureau, `${text} --detach --repo ${quoted(bureau.repo)} ${ports}`);
  // A person reads the screen first; meanwhile the agent starts.
  await eventually("the agent runs", async () => {
    const status = await bureau.cli("status");
    if (!/^agent\/scribe +running/m.test(status.stdout)) throw new Error(status.stdout);
    return true;
  });
}

async function asPerson(
  bureau: Bureau,
  text: string,
  treatment: Treatment & { kind: "person" },
): Promise<void> {
  await using person = await PersonTerminal.open(110, 30);
  await person.enter(`clear; cd ${quoted(ROOT)}; export ${environment(bureau)}`);
  await person.enter(`clear; ${text}; echo "ended $?"`);
  await person.shows(treatment.sees);
  await treatment.types(person);
  assert.match(await person.shows(/^ended \d+/m), /^ended 0/m, text);
}

async function follow(bureau: Bureau, text: string, treatment: Treatment): Promise<void> {
  switch (treatment.kind) {
    case "run":
    case "limits":
      return await shell(bureau, text);
    case "once-running":
      return await eventually(text, async () => {
        await shell(bureau, text);
        return true;
      }).then(() => {});
    case "start":
      return await start(bureau, text);
    case "person":
      return await asPerson(bureau, text, treatment);
    case "not-run":
      // Shown as ignored, with the reason in its name.
      return;
  }
}

async function reasonNotTo(bureau: Bureau, treatment: Treatment): Promise<string | null> {
  if (treatment.kind === "not-run") return treatment.reason;
  if (treatment.kind !== "limits") return null;
  // Written by `up` when it has a place for them.
  const place = await Deno.readTextFile(`${bureau.runDir}/cgroups`).catch(() => null);
  return place === null ? "this machine gives us no control groups" : null;
}

Deno.test("every documented command works, page by page", async (t) => {
  await withBureau(async (bureau) => {
    // The host of spawned workers stays, whatever becomes of this test.
    await using _ = {
      [Symbol.asyncDispose]: () => shell(bureau, "sh tasks/bureau worker stop --all --yes"),
    };
    for (const page of PAGES) {
      const commands = commandsOf(page, await Deno.readTextFile(`${ROOT}/${page}`));
      assert.ok(commands.length > 0, `${page} shows no command: is its language still "sh"?`);
      // A reference is in the order of its groups: what ends the agent comes after what is tried on it.
      const ends = ({ text }: DocumentedCommand) => / agent destroy | --down$/.test(text);
      const followed = page.startsWith("docs/reference/")
        ? [...commands.filter((each) => !ends(each)), ...commands.filter(ends)]
        : commands;
      for (const command of followed) {
        const treatment = treatmentOf(command);
        const why = await reasonNotTo(bureau, treatment);
        const ignore = why !== null;
        const done = await t.step({
          name: `${page}:${command.line}: ${command.text}${ignore ? ` (not run: ${why})` : ""}`,
          ignore,
          fn: () => follow(bureau, command.text, treatment),
        });
        // Each builds on those before it.
        if (!done && !ignore) return;
      }
    }
  });
});

Deno.test("every documented command is run, or excused with a reason", async () => {
  for (const page of PAGES) {
    for (const command of commandsOf(page, await Deno.readTextFile(`${ROOT}/${page}`))) {
      treatmentOf(command);
    }
  }
});

Deno.test("every page with commands is one that the test above follows", async () => {
  for (const dir of ["", "docs/guide/", "docs/reference/"]) {
    for await (const entry of Deno.readDir(`${ROOT}/${dir}`)) {
      const page = `${dir}${entry.name}`;
      if (!page.endsWith(".md") || PAGES.includes(page)) continue;
      const commands = commandsOf(page, await Deno.readTextFile(`${ROOT}/${page}`));
      assert.deepEqual(commands, [], `${page} has commands and is not in PAGES`);
    }
  }
});

Deno.test("every task that the documentation names exists", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  for (const page of [...PAGES, "docs/guide/troubleshooting.md"]) {
    const text = await Deno.readTextFile(`${ROOT}/${page}`);
    for (const [, name] of text.matchAll(/\bdeno task ([a-z:]+)/g)) {
      assert.ok(name! in tasks, `${page} names \`deno task ${name}\`, which deno.json lacks`);
    }
    for (const [, name] of text.matchAll(/\bsh tasks\/([a-z]+)/g)) {
      assert.ok(
        await Deno.stat(`${ROOT}/tasks/${name}`).then((info) => info.isFile, () => false),
        `${page} names tasks/${name}, which is not there`,
      );
    }
  }
});

Deno.test("commandsOf() takes each line of an sh block, without its comment", () => {
  const page = '# T\n\n```sh\na "b # c"   # d\n\n# only a comment\nb#c\n```\n\n```json\n{}\n```\n';
  assert.deepEqual(commandsOf("T.md", page), [
    { page: "T.md", line: 4, text: 'a "b # c"' },
    { page: "T.md", line: 7, text: "b#c" },
  ]);
});
