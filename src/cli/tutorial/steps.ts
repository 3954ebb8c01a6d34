// SPDX-License-Identifier: Apache-2.0

/** What the tutorial has its reader do, and how it knows that it was done. */
import type { daemonApi, PrincipalView } from "../../daemon/api.ts";
import type { Client } from "../../lib/http/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { listed } from "../credential/list.ts";
import type { CredentialStore } from "../credential/store.ts";
import { type OperatorSession, roomOf } from "../session.ts";

export interface Place {
  readonly session: OperatorSession;
  readonly client: MatrixClient;
  readonly daemon: Client<typeof daemonApi>;
  readonly credentials: CredentialStore;
  /** Localpart of the agent that is made on the way. */
  readonly principal: string;
  /** How its reader calls it. */
  readonly agent: string;
  /** How its reader types `bureau`. */
  readonly bureau: string;
  /** When this step was shown, milliseconds since the epoch. */
  readonly since: number;
  readonly signal: AbortSignal;
}

export interface Step {
  readonly title: string;
  /** What is to be done; a line that begins with `$ ` is typed in a second terminal, one with `> ` in the agent's. */
  readonly text: (place: Place) => readonly string[];
  /** What happened, once it has. */
  readonly done: (place: Place) => Promise<string | null>;
  /** Why it can't be done here; null: it can. */
  readonly missing?: (place: Place) => Promise<string | null>;
}

/** The example that `up` assigns: it answers in its room. */
const SCRIBE = "scribe";
const HOST = "example.org";
const MARK = "hello from inside";

export const STEPS: readonly Step[] = [
  {
    title: "Make an agent",
    text: ({ bureau, agent }) => [
      "An agent is a program in a sandbox, with an account and a room of its own. This one is a shell, so that you can look around in there.",
      `$ ${bureau} agent create ${agent} --template bureau/template:agent-shell`,
    ],
    done: async (place) => {
      const view = await viewOf(place, place.principal);
      return view?.phase === "running" ? `it runs: ${view.principal}` : null;
    },
  },
  {
    title: "Watch it, and take the keyboard",
    text: ({ bureau, agent }) => [
      "This is its own terminal, live. Whoever types has the keyboard.",
      `$ ${bureau} observe ${agent}`,
      `> echo "${MARK}"; ls /workspace; id`,
      "Leave with ctrl-] and then d. It goes on.",
    ],
    done: async (place) => {
      const { now } = await place.daemon.call("output", {
        params: { principal: place.principal },
        query: { lines: "500" },
        signal: place.signal,
      });
      // Not the line that was typed.
      if (!now?.some((line) => line.trim() === MARK)) return null;
      const view = await viewOf(place, place.principal);
      return view?.watchers === 0 ? "it said so, and you left" : null;
    },
  },
  {
    title: "Send a message",
    missing: async (place) =>
      (await viewOf(place, principalBeside(place, SCRIBE)))?.phase === "running"
        ? null
        : `there is no agent "${SCRIBE}" here (\`up\` without --no-agent has one)`,
    text: ({ bureau }) => [
      "Each agent has a room. People, agents and services write there; any Matrix client can be in it. The shell reads no messages, the example agent does.",
      `$ ${bureau} matrix send agent/${SCRIBE} "report README.md"`,
      `$ ${bureau} matrix messages agent/${SCRIBE}`,
    ],
    done: async (place) => {
      const room = await roomOf(place.client, place.session, `agent/${SCRIBE}`);
      const { chunk } = await place.client.messages(room, {
        dir: "b",
        limit: 50,
        filter: { types: ["m.room.message"] },
      });
      // Newest first.
      const mine = chunk.findLastIndex(({ sender, origin_server_ts = 0 }) =>
        sender === place.session.user_id && origin_server_ts >= place.since
      );
      const isAnswered = chunk.slice(0, Math.max(0, mine))
        .some(({ sender }) => sender !== place.session.user_id);
      return isAnswered ? "it answered" : null;
    },
  },
  {
    title: "Give it a credential that it never sees",
    text: ({ bureau, agent }) => [
      "Credentials are sealed to this machine and live in the agent's proxy, which puts them into requests to the hosts that you name, and nowhere else.",
      `$ echo '{"demo":{"value":"no-real-secret","allowed_hosts":["${HOST}:443"]}}' | ${bureau} credential provision ${agent}`,
      `$ ${bureau} credential list ${agent}`,
      `Look for it inside, if you like (${bureau} observe ${agent}):`,
      "> env | grep -c no-real-secret",
    ],
    done: async ({ credentials, principal }) => {
      const names = listed(await credentials.read(principal)).map(({ name }) => name);
      return names.includes("demo") ? "it is sealed, and no command shows it" : null;
    },
  },
  {
    title: "Decide where it may connect to",
    text: ({ bureau, agent }) => [
      "It reaches nothing that nobody allowed. Be asked about the rest:",
      `$ ${bureau} egress ask ${agent} "*:443"`,
      `Have it try (${bureau} observe ${agent}); it waits for your answer:`,
      `> curl -sS -o /dev/null -w '%{http_code}\\n' https://${HOST}/`,
      "Look, and answer in a third terminal, or after you left it with ctrl-] d. `deny` is an answer, too.",
      `$ ${bureau} egress list`,
      `$ ${bureau} egress approve ${HOST}`,
    ],
    done: async ({ daemon, principal, since, signal }) => {
      const { decided } = await daemon.call("asks", { signal });
      const mine = decided.find((ask) =>
        ask.principal === principal && ask.at >= since &&
        (ask.outcome === "approved" || ask.outcome === "denied")
      );
      return mine === undefined ? null : `${mine.host}: ${mine.outcome}, by ${mine.by}`;
    },
  },
  {
    title: "Remove it",
    text: ({ bureau, agent }) => [
      "Its assignment, its account's session and its sandbox go; `--dry-run` would only say what.",
      `$ ${bureau} agent destroy ${agent} --yes`,
    ],
    done: async (place) => await viewOf(place, place.principal) === null ? "it is gone" : null,
  },
];

/** Null: nobody assigned it. */
async function viewOf(
  { daemon, signal }: Place,
  principal: string,
): Promise<PrincipalView | null> {
  const { principals } = await daemon.call("list", { signal });
  return principals.find((view) => view.principal === principal) ?? null;
}

const principalBeside = ({ principal, agent }: Place, name: string) =>
  principal.slice(0, principal.length - agent.length) + name;
