// SPDX-License-Identifier: Apache-2.0

/** Agents with a model behind their proxy, as a person makes them, and what is said to them in their rooms. */
import assert from "node:assert/strict";
import type { Template } from "../../src/lib/schema/mod.ts";
import { type Bureau, eventually } from "./harness.ts";
import { matrix, type MatrixEvent, messages, roomId } from "./matrix.ts";

/** A service of a proxy that is a model, and the credential for it. */
export interface ModelService {
  readonly service: "anthropic" | "openai";
  readonly credential: string;
  /** Where it is instead of the provider's own, e.g. `http://127.0.0.1:1234/v1`. */
  readonly url: string;
  readonly key: string;
}

/** `host:port` of a URL, as templates name destinations. */
export function hostOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/** A built-in template with its model elsewhere, published under a name. @returns its reference */
export async function publishTemplate(
  bureau: Bureau,
  name: string,
  base: string,
  { service, credential, url }: ModelService,
  more: Template = {},
): Promise<string> {
  const room = encodeURIComponent(await roomId(bureau, "bureau/template"));
  const inject = service === "anthropic"
    ? { inject_headers: { "X-Api-Key": credential }, strip_headers: ["authorization"] }
    : { inject_headers: { Authorization: credential }, auth_scheme: "Bearer" as const };
  await matrix(bureau, `rooms/${room}/state/m.bureau.template/${name}`, {
    method: "PUT",
    body: {
      description: `${base} with another model`,
      inherits: [`bureau/template:${base}`],
      proxy_services: { [service]: { upstream: url, ...inject } },
      egress: { allow: [hostOf(url)] },
      ...more,
    },
  });
  return `bureau/template:${name}`;
}

/** `agent create` with the key in a file, which is gone afterwards. */
export async function createAgent(
  bureau: Bureau,
  name: string,
  template: string,
  { credential, url, key }: ModelService,
  ...more: string[]
): Promise<void> {
  const file = `${bureau.stateDir}-credentials.json`;
  const credentials = { [credential]: { value: key, allowed_hosts: [hostOf(url)] } };
  await Deno.writeTextFile(file, JSON.stringify(credentials), { mode: 0o600 });
  try {
    const made = await bureau.cli(
      ...["agent", "create", name, "--template", template],
      ...["--repo", bureau.repo, "--credentials", file, ...more],
    );
    assert.equal(made.code, 0, made.stdout + made.stderr);
  } finally {
    await Deno.remove(file);
  }
}

/** Writes as the operator. @returns the message's id */
export async function write(bureau: Bureau, room: string, text: string): Promise<string> {
  const path = `rooms/${encodeURIComponent(room)}/send/m.room.message/${crypto.randomUUID()}`;
  const body = { msgtype: "m.text", body: text };
  return (await matrix<{ event_id: string }>(bureau, path, { method: "PUT", body })).event_id;
}

export function questionOf({ content }: MatrixEvent): string | undefined {
  const relation = content["m.relates_to"] as
    | { "m.in_reply_to"?: { event_id: string } }
    | undefined;
  return relation?.["m.in_reply_to"]?.event_id;
}

/** The one answer to a message. */
export async function answerTo(bureau: Bureau, room: string, id: string): Promise<string> {
  return await eventually(`an answer to ${id}`, async () => {
    const answers = (await messages(bureau, room)).filter((event) => questionOf(event) === id);
    assert.ok(answers.length <= 1, `answered ${answers.length} times`);
    return answers[0]?.content["body"] as string | undefined;
  }, 180_000);
}

/** Writes in an agent's own room. @returns the answer to just that */
export async function ask(bureau: Bureau, agent: string, text: string): Promise<string> {
  const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
  return await answerTo(bureau, room, await write(bureau, room, text));
}
