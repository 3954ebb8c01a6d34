// SPDX-License-Identifier: Apache-2.0

/** How each field of a template is inherited, read out of the function that does it. */
import { parse } from "@babel/parser";

/** What each way of writing a field in `mergeTemplates()` comes to. */
const RULES: Readonly<Record<string, string>> = {
  "??": "the child's, whole",
  "||": "the child's, whole; empty counts as absent",
  byKey: "key by key, the child's wins",
  prepended: "key by key: the child's entries, then the parent's",
  appended: "the parent's, then the child's, each once",
  mounts: "the parent's whose `dest` the child doesn't name, then the child's",
  mergeSecrets: "the parent's whose `key` the child doesn't name, then the child's",
  mergeEgress: "lists: the parent's, then the child's, each once; `ask_timeout`: the child's",
  mergeBudgets: "window by window the child's, price by price",
  mergeAttention: "patterns: the parent's, then the child's; the rest: the child's",
  mergeAuthorization: "each list: the parent's, then the child's, each once",
};

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** @returns field → rule; `inherits` is not among them: it is not carried over */
export async function readMergeRules(path: string): Promise<Map<string, string>> {
  const { program } = parse(await Deno.readTextFile(path), {
    sourceType: "module",
    plugins: ["typescript"],
  });
  const merge = (program.body as unknown as Node[])
    .map((statement) => statement["declaration"] as Node | undefined)
    .find((declaration) => (declaration?.["id"] as Node)?.["name"] === "mergeTemplates");
  const [returned] = (merge!["body"] as { body: Node[] }).body;
  const [merged] = (returned!["argument"] as { arguments: Node[] }).arguments;
  const rules = new Map<string, string>();
  for (const { key, value } of merged!["properties"] as { key: Node; value: Node }[]) {
    const how = String(value["operator"] ?? (value["callee"] as Node)["name"]);
    const rule = RULES[how];
    if (rule === undefined) throw new Error(`${path}: the reference has no words for "${how}"`);
    rules.set(String(key["name"]), rule);
  }
  return rules;
}
