// SPDX-License-Identifier: Apache-2.0

/**
 * Metrics as text: Prometheus' format 0.0.4, and OpenMetrics 1.0 for who asks for it.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { type MetricName, METRICS } from "./catalogue.ts";
import type { Distribution, Labels, Measured } from "./measure.ts";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** What several processes tell, each under labels of its own. */
export class MetricText {
  /** By family: `name{labels}` and the value. The first of two that are the same counts. */
  readonly #families = new Map<MetricName, Map<string, number>>();

  /** @param of labels that say who tells it; they come first */
  add(measured: Measured, of: Labels = {}): this {
    for (const [name, told] of Object.entries(measured) as [MetricName, Measured[MetricName]][]) {
      if (told === undefined) continue;
      if (typeof told === "number") this.#put(name, "", of, told);
      else if ("buckets" in told) this.#putDistribution(name, of, told);
      else for (const [labels, value] of told) this.#put(name, "", { ...of, ...labels }, value);
    }
    return this;
  }

  /** One line of another process, read by `readMetrics`. */
  addRead({ name, suffix, labels, value }: ReadSample, of: Labels): void {
    this.#put(name, suffix, { ...of, ...labels }, value);
  }

  #putDistribution(name: MetricName, of: Labels, { sum, count, buckets }: Distribution): void {
    for (const [bound, below] of buckets) this.#put(name, "_bucket", { ...of, le: bound }, below);
    this.#put(name, "_bucket", { ...of, le: "+Inf" }, count);
    this.#put(name, "_sum", of, sum);
    this.#put(name, "_count", of, count);
  }

  #put(name: MetricName, suffix: string, labels: Labels, value: number): void {
    const text = Object.entries(labels).map(([key, label]) => `${key}="${escape(String(label))}"`);
    const series = `${name}${suffix}${text.length === 0 ? "" : `{${text.join(",")}}`}`;
    let family = this.#families.get(name);
    if (family === undefined) this.#families.set(name, family = new Map());
    if (!family.has(series)) family.set(series, value);
  }

  text(openMetrics = false): string {
    const lines: string[] = [];
    for (const [name, series] of this.#families) {
      const { help, type } = METRICS[name];
      const family = openMetrics && type === "counter" ? name.replace(/_total$/, "") : name;
      lines.push(`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`);
      for (const [key, value] of series) lines.push(`${key} ${value}`);
    }
    if (openMetrics) lines.push("# EOF");
    return `${lines.join("\n")}\n`;
  }

  /** For programs: the same as values. */
  json(): { name: string; value: number }[] {
    return [...this.#families.values()].flatMap((series) =>
      [...series].map(([name, value]) => ({ name, value }))
    );
  }
}

export interface ReadSample {
  readonly name: MetricName;
  readonly suffix: "" | "_bucket" | "_sum" | "_count";
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function escape(label: string): string {
  return label.replace(/[\\"\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`);
}

/** The answer to `GET /metrics`, in the format that the request asks for. */
export function metricsResponse(request: Request, text: MetricText): Response {
  const open = request.headers.get("accept")?.includes("application/openmetrics-text") ?? false;
  return new Response(text.text(open), {
    headers: { "content-type": open ? OPEN_METRICS : PROMETHEUS },
  });
}
