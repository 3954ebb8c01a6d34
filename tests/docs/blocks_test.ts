// SPDX-License-Identifier: Apache-2.0

/** The documents that pages show (templates, configuration, credentials, …) are read by what reads them in Bureau. */
import assert from "node:assert/strict";
import { parse as parseYaml } from "yaml";
import { mcpServersOf } from "../../src/agent/native/mcp_config.ts";
import { parseSpec } from "../../src/agent/provision/mod.ts";
import { parseCredentials } from "../../src/cli/agent/credentials.ts";
import { readTemplateText } from "../../src/cli/template/document.ts";
import { NotifyEvent } from "../../src/daemon/attention/notify/types.ts";
import { readNotify, readPeer, readSettings } from "../../src/lib/config/mod.ts";
import { validateLayout } from "../../src/lib/layout/mod.ts";
import { isKnownType, Layout, parseEvent, Template } from "../../src/lib/schema/mod.ts";
import { AuthorizationPolicy } from "../../src/lib/schema/policy.ts";
import { type Block, blocksOf } from "./commands.ts";
import { pagesBelow } from "./pages.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

type Fields = Readonly<Record<string, unknown>>;

/** What a document is, by its fields, and who says whether it is right (by throwing, else). */
interface Kind {
  readonly name: string;
  is(fields: Fields): boolean;
  check(text: string, fields: Fields): void;
}

const has = (...names: string[]) => (fields: Fields) => names.some((name) => name in fields);
const STATE = "/var/lib/bureau";

const KINDS: readonly Kind[] = [
  {
    name: "a state event",
    is: has("state_key"),
    check: (_, { type, content }) => {
      assert.ok(typeof type === "string" && isKnownType(type));
      // What a schema doesn't know is dropped.
      assert.deepEqual(parseEvent(type, content), content);
    },
  },
  { name: "a schema, generated", is: has("$schema"), check: () => {} },
  // docs/design/tcp-credentials.md says so.
  { name: "a design that is not built", is: has("tcp_services"), check: () => {} },
  {
    name: "MCP servers",
    is: has("mcpServers", "mcp_servers"),
    check: (_, fields) => assert.ok(mcpServersOf(fields).length > 0),
  },
  {
    name: "a layout",
    is: has("windows"),
    check: (_, fields) => assert.deepEqual(validateLayout(Layout.parse(fields)), []),
  },
  {
    name: "a worker's specification",
    is: has("executor"),
    check: (_, fields) => {
      const rest = { version: 1, identity: { child_id: "c" }, fabric_dir: "/run/workers" };
      parseSpec(JSON.stringify({ ...rest, ...fields }));
    },
  },
  {
    name: "a message about agents",
    is: has("events"),
    check: (_, { events }) => {
      const known = ["principal", "account", "state", "since", "reason", "text"];
      for (const event of events as Fields[]) {
        assert.deepEqual(Object.keys(event).filter((name) => !known.includes(name)), []);
        // Bureau counts milliseconds, and writes the time for others.
        NotifyEvent.parse({ ...event, since: Date.parse(String(event["since"])) });
      }
    },
  },
  {
    name: "a room's policy",
    is: has("denials"),
    check: (_, fields) => assert.ok(AuthorizationPolicy.parse(fields).denials?.length),
  },
  {
    name: "bureau.yaml",
    is: has("homeserver", "web", "notify", "peer", "metrics", "telemetry"),
    check: (text) => {
      const sources = { file: { path: "bureau.yaml", text }, stateDir: STATE };
      readSettings(sources);
      readNotify(sources);
      readPeer(sources);
    },
  },
  {
    name: "a template, or a part of one",
    is: (fields) => Object.keys(fields).every((name) => name in Template.shape),
    check: (_, fields) => {
      const rest = { description: "a part", inherits: ["bureau/template:agent"] };
      const whole = "inherits" in fields ? fields : { ...rest, ...fields };
      assert.deepEqual(readTemplateText(JSON.stringify(whole)).mistakes, []);
    },
  },
  {
    name: "credentials",
    is: (fields) =>
      Object.values(fields).every((value) =>
        typeof value === "object" && value !== null &&
        has("value", "oauth2", "kind")(value as Fields)
      ),
    check: (_, fields) => parseCredentials(fields),
  },
];

/** @throws where what a block shows would be refused, or is nothing that Bureau reads */
function check({ language, lines }: Pick<Block, "language" | "lines">): string {
  const text = lines.join("\n");
  const fields = language === "json" ? JSON.parse(text) : parseYaml(text);
  assert.equal(typeof fields, "object");
  const kind = KINDS.find(({ is }) => is(fields));
  assert.ok(kind !== undefined, `it is of no kind that this test knows: ${Object.keys(fields)}`);
  kind.check(text, fields);
  return kind.name;
}

async function documents(): Promise<Block[]> {
  const blocks: Block[] = [];
  for await (const path of pagesBelow(ROOT)) {
    blocks.push(...blocksOf(path.slice(ROOT.length + 1), await Deno.readTextFile(path)));
  }
  return blocks.filter(({ language }) => language === "json" || language === "yaml");
}

Deno.test("each document that a page shows is one that Bureau takes", async () => {
  const kinds = new Set<string>();
  const refused: string[] = [];
  for (const block of await documents()) {
    try {
      kinds.add(check(block));
    } catch (thrown) {
      refused.push(`${block.page}:${block.line}: ${(thrown as Error).message}`);
    }
  }
  assert.deepEqual(refused, []);
  assert.deepEqual(KINDS.map(({ name }) => name).filter((name) => !kinds.has(name)), []);
});

Deno.test("a document that is wrong in one field is refused", () => {
  const wrong = [
    '{ "health": { "http": { "socket": "/a", "path": "/" }, "interval_seconds": "10" } }',
    '{ "egress": { "allow": ["not a host"] } }',
    '{ "key": { "value": "x", "allowed_hosts": "api.example.org:443" } }',
    '{ "web": "127.0.0.1:6169", "web_orgin": "https://a.example" }',
    '{ "windows": [{ "name": "a", "panes": [] }] }',
    '{ "denials": [{ "action": ["a"] }] }',
    '{ "executor": { "kind": "ehco" } }',
    '{ "surprise": 1 }',
    "{ one: }",
  ];
  for (const text of wrong) {
    assert.throws(() => check({ language: "json", lines: [text] }), Error, text);
  }
});
