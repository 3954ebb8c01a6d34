// SPDX-License-Identifier: Apache-2.0

/**
 * What another process tells of itself. It may be anybody's by now: one line of another form would cost a scraper
 * the whole answer, and a name or label of its choice would speak for others. So only what the catalogue has is taken.
 */
import { entryOf, type MetricName } from "./catalogue.ts";
import type { ReadSample } from "./text.ts";

const SAMPLE = /^([a-z_]{1,80})(?:\{(.{0,2000})\})? (-?\d[\d.e+-]{0,30})$/;
const LABEL = /([a-z_]{1,20})="((?:[^"\\\p{Cc}]|\\[\\"n]){0,300})"(?:,|$)/uy;

/**
 * @param prefixes of names that this process may tell of
 * @param most lines; what comes after is not read
 */
export function readMetrics(
  text: string,
  prefixes: readonly string[],
  most: number,
): ReadSample[] {
  const samples: ReadSample[] = [];
  for (const line of text.split("\n", most)) {
    const sample = line.startsWith("#") ? null : readSample(line);
    if (sample !== null && prefixes.some((prefix) => sample.name.startsWith(prefix))) {
      samples.push(sample);
    }
  }
  return samples;
}

/** One line of the format; null: it is none. */
export function parseSeries(line: string) {
  const match = SAMPLE.exec(line);
  if (match === null) return null;
  const labels = readLabels(match[2] ?? "");
  const value = Number(match[3]);
  return labels === null || !Number.isFinite(value) ? null : { name: match[1]!, labels, value };
}

function readSample(line: string): ReadSample | null {
  const parsed = parseSeries(line);
  if (parsed === null) return null;
  const { labels, value } = parsed;
  const named = nameOf(parsed.name);
  if (named === null) return null;
  const wanted = [...named.labels, ...(named.suffix === "_bucket" ? ["le"] : [])];
  const given = Object.keys(labels);
  if (given.length !== wanted.length || !wanted.every((name) => given.includes(name))) return null;
  if (labels["le"] !== undefined && !/^(\+Inf|\d[\d.]{0,10})$/.test(labels["le"])) return null;
  return { name: named.name, suffix: named.suffix, labels, value };
}

function nameOf(text: string) {
  const plain = entryOf(text);
  if (plain !== undefined && plain.type !== "histogram") {
    return { name: text as MetricName, suffix: "" as const, labels: plain.labels };
  }
  const [, name, suffix] = /^(.+)(_bucket|_sum|_count)$/.exec(text) ?? [];
  const entry = name === undefined ? undefined : entryOf(name);
  if (entry?.type !== "histogram") return null;
  return {
    name: name as MetricName,
    suffix: suffix as "_bucket" | "_sum" | "_count",
    labels: entry.labels,
  };
}

function readLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (match === null || Object.hasOwn(labels, match[1]!)) return null;
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
  }
  return labels;
}
