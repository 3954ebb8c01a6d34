// SPDX-License-Identifier: Apache-2.0

/** Keeping a conversation within what its model takes. */
import type { Block, Message, ModelRequest, TextBlock } from "../model/types.ts";

/** Tokens, by the first prefix of a model's name that fits. */
const WINDOWS: readonly (readonly [prefix: string, tokens: number])[] = [
  ["claude", 200_000],
  ["gpt-5", 272_000],
  ["gpt-4.1", 1_000_000],
  ["gpt-4o", 128_000],
  ["o3", 200_000],
  ["o4", 200_000],
  ["codex", 200_000],
];
const DEFAULT_WINDOW = 128_000;

export function windowOf(model: string): number {
  const bare = model.replace(/^.*[/.](?=claude|gpt-\d|o\d|codex)/, "");
  return WINDOWS.find(([prefix]) => bare.startsWith(prefix))?.[1] ?? DEFAULT_WINDOW;
}

/** How many characters are a token: four at first, then what the model's own counts say. */
export class Estimator {
  #charsPerToken = 4;

  tokens(chars: number): number {
    return Math.ceil(chars / this.#charsPerToken);
  }

  /** @param tokens as the provider counted that many characters */
  learn(chars: number, tokens: number): void {
    if (chars < 400 || tokens < 100) return;
    const seen = Math.min(8, Math.max(1, chars / tokens));
    this.#charsPerToken += 0.3 * (seen - this.#charsPerToken);
  }
}

export function charsOf(messages: readonly Message[]): number {
  return messages.reduce((sum, { content }) => sum + content.reduce(addBlock, 0), 0);
}

export function charsOfRequest({ system, tools, messages }: ModelRequest): number {
  return system.length + charsOf(messages) +
    tools.reduce((sum, tool) => sum + JSON.stringify(tool).length, 0);
}

function addBlock(sum: number, block: Block): number {
  switch (block.type) {
    case "text":
      return sum + block.text.length;
    case "thinking":
      return sum + block.text.length + (block.proof?.data.length ?? 0);
    case "tool_use":
      return sum + 40 + block.name.length + JSON.stringify(block.input).length;
    case "tool_result":
      return sum + 40 + block.output.length;
  }
}

const LEFT_OUT: TextBlock = { type: "text", text: "(Some earlier messages are left out here.)" };

/** Whether it is what a person said, rather than what tools gave back: a turn begins with it. */
function beginsTurn({ role, content }: Message): boolean {
  return role === "user" && !content.some(({ type }) => type === "tool_result");
}

/**
 * The conversation, made to fit: whole turns go first, the oldest first, but never the first and the last;
 * then, in these two, calls together with their results; then the middle of long results. A call and its result
 * are never apart, and what people said in a turn that stays is kept.
 *
 * @returns the same list when it fits already, or nothing more can go
 */
export function fitted(messages: readonly Message[], maxChars: number): readonly Message[] {
  if (charsOf(messages) <= maxChars) return messages;
  const turns: Message[][] = [];
  for (const message of messages) {
    if (beginsTurn(message) || turns.length === 0) turns.push([message]);
    else turns.at(-1)!.push(message);
  }
  let chars = charsOf(messages);
  let left = turns;
  while (chars > maxChars && left.length > 2) {
    chars -= charsOf(left[1]!);
    left = [left[0]!, ...left.slice(2)];
  }
  if (left.length < turns.length) left = [noted(left[0]!), ...left.slice(1)];
  for (const at of left.length > 1 ? [0, left.length - 1] : [0]) {
    const others = charsOf(left.flat()) - charsOf(left[at]!);
    const isLast = at === left.length - 1;
    left = left.with(at, withoutOldCalls(left[at]!, maxChars - others, isLast ? 4 : 1));
  }
  return shortened(left.flat(), maxChars);
}

/** The note stands where it changes nothing before it: after what begins the first turn. */
function noted([first, ...rest]: Message[]): Message[] {
  return first!.content.some((block) => block.type === "text" && block.text === LEFT_OUT.text)
    ? [first!, ...rest]
    : [{ ...first!, content: [...first!.content, LEFT_OUT] }, ...rest];
}

/** @param keep so many messages at its end stay */
function withoutOldCalls(turn: Message[], maxChars: number, keep: number): Message[] {
  let [first, ...rest] = turn;
  let isShorter = false;
  while (charsOf([first!, ...rest]) > maxChars && rest.length > keep) {
    const [asked, given] = rest;
    const isPair = asked!.role === "assistant" && given?.role === "user";
    if (!isPair) break;
    // What a person said meanwhile.
    const said = given.content.filter(({ type }) => type === "text");
    first = { ...first!, content: [...first!.content, ...said] };
    rest = rest.slice(2);
    isShorter = true;
  }
  return isShorter ? noted([first!, ...rest]) : turn;
}

const SHORT_RESULT = 2_000;

function shortened(messages: readonly Message[], maxChars: number): readonly Message[] {
  let over = charsOf(messages) - maxChars;
  if (over <= 0) return messages;
  return messages.map((message) => ({
    ...message,
    content: message.content.map((block) => {
      if (over <= 0 || block.type !== "tool_result" || block.output.length <= SHORT_RESULT) {
        return block;
      }
      const { output } = block;
      const half = SHORT_RESULT / 2;
      const cut = `${output.slice(0, half)}\n… (left out) …\n${output.slice(-half)}`;
      over -= output.length - cut.length;
      return { ...block, output: cut };
    }),
  }));
}
