// SPDX-License-Identifier: Apache-2.0

/** Where two homeservers answered differently, and which of that is meant to be so. */
import type { Exchange } from "../conformance/world.ts";

export interface Difference {
  /** `topic: scenario`. */
  readonly scenario: string;
  /** `alice: GET /_matrix/…`, with made up ids named. */
  readonly request: string;
  /** Where in the answer: `status`, or a path like `body.chunk[].unsigned.membership`. */
  readonly at: string;
  /** What the embedded homeserver answered; undefined: nothing there. */
  readonly embedded: unknown;
  readonly synapse: unknown;
}

/** A difference that is meant. All that is given must fit. */
export interface Intended {
  readonly scenario?: RegExp;
  readonly request?: RegExp;
  readonly at: RegExp;
  /** Only where the one or the other has nothing there. */
  readonly missing?: "embedded" | "synapse";
  readonly reason: string;
}

/** Lists longer than this are not shown whole. */
const SHOWN = 400;

export function compare(
  scenario: string,
  embedded: readonly Exchange[],
  synapse: readonly Exchange[],
): Difference[] {
  const differences: Difference[] = [];
  if (embedded.length !== synapse.length) {
    const [a, b] = [embedded.length, synapse.length];
    differences.push({ scenario, request: "all", at: "requests", embedded: a, synapse: b });
  }
  for (let step = 0; step < Math.min(embedded.length, synapse.length); step++) {
    const [a, b] = [embedded[step]!, synapse[step]!];
    const request = `${a.actor}: ${a.method} ${a.path}`;
    const report = (at: string, embedded: unknown, synapse: unknown) =>
      differences.push({ scenario, request, at, embedded, synapse });
    if (a.status !== b.status) report("status", a.status, b.status);
    walk(a.body, b.body, "body", report);
  }
  return differences;
}

function walk(
  a: unknown,
  b: unknown,
  at: string,
  report: (at: string, a: unknown, b: unknown) => void,
): void {
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    a.forEach((item, index) => walk(item, b[index], `${at}[]`, report));
  } else if (isObject(a) && isObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      walk(a[key], b[key], `${at}.${key}`, report);
    }
  } else if (JSON.stringify(a) !== JSON.stringify(b)) {
    report(at, a, b);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @returns the differences that nobody meant, and the intended ones that no longer occur */
export function judge(
  differences: readonly Difference[],
  intended: readonly Intended[],
): { unlisted: Difference[]; gone: Intended[] } {
  const seen = new Set<Intended>();
  const unlisted = differences.filter((difference) => {
    const fitting = intended.filter((one) => fits(one, difference));
    for (const one of fitting) seen.add(one);
    return fitting.length === 0;
  });
  return { unlisted, gone: intended.filter((one) => !seen.has(one)) };
}

function fits({ scenario, request, at, missing }: Intended, difference: Difference): boolean {
  return (scenario?.test(difference.scenario) ?? true) &&
    (request?.test(difference.request) ?? true) && at.test(difference.at) &&
    (missing === undefined || difference[missing] === undefined);
}

export function show({ scenario, request, at, embedded, synapse }: Difference): string {
  const text = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, SHOWN);
  return `${scenario}\n  ${request}\n  ${at}\n    embedded: ${text(embedded)}\n    synapse:  ${
    text(synapse)
  }`;
}
