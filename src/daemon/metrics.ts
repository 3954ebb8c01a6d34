// SPDX-License-Identifier: Apache-2.0

/** What the daemon's gates and every proxy counted, as one text for Prometheus. */
import { createClient } from "../lib/http/mod.ts";
import type { Health } from "../launcher/api.ts";
import { proxyAdminApi } from "../proxy/api.ts";
import type { EgressUsage } from "./egress/usage.ts";

/** A proxy that does not answer by then is left out, and counted. */
const DEADLINE_MS = 2_000;
/** Of one proxy; more is not believed. */
const MAX_LINES = 2_000;
/** A proxy lies in a cell: a line of another form is not passed on, so it can't speak for others. */
const SAMPLE =
  /^(bureau_proxy_[a-z_]{1,60})(?:\{((?:[a-z]{1,20}="[^"\\{}\n]{0,300}",?){1,6})\})? (\d[\d.e+-]{0,30})$/;
const TYPE = /^# TYPE (bureau_proxy_[a-z_]{1,60}) (counter|gauge|histogram)$/;

export interface Counted {
  readonly localpart: string;
  readonly usage: EgressUsage;
  /** Of its proxy; null: no cell is there. */
  readonly admin: string | null;
  /** Absent: it has no health check, or does not run. */
  readonly health?: Health | undefined;
}

/** @returns the text of every proxy with its principal as a label, grouped by name as the format wants it */
export async function gatherMetrics(all: readonly Counted[], restarts: number): Promise<string> {
  const families = new Families();
  let silent = 0;
  await Promise.all(all.map(async ({ localpart, admin }) => {
    if (admin === null) return;
    try {
      families.take(localpart, await askProxy(admin));
    } catch {
      silent++;
    }
  }));
  const gate = (name: string, type: string, of: (usage: EgressUsage) => number) => {
    for (const { localpart, usage } of all) {
      families.add(`bureau_egress_${name}`, type, `principal="${localpart}"`, `${of(usage)}`);
    }
  };
  gate("allowed_total", "counter", (usage) => usage.allowed);
  gate("refused_total", "counter", (usage) => usage.refused);
  gate("sent_bytes_total", "counter", (usage) => usage.up);
  gate("received_bytes_total", "counter", (usage) => usage.down);
  gate("tunnels", "gauge", (usage) => usage.active);
  for (const { localpart, health } of all) {
    if (health === undefined) continue;
    const value = health.state === "healthy" ? "1" : "0";
    families.add("bureau_agent_healthy", "gauge", `principal="${localpart}"`, value);
  }
  families.add("bureau_egress_restarts_total", "counter", "", `${restarts}`);
  families.add("bureau_proxies_silent", "gauge", "", `${silent}`);
  return families.text();
}

async function askProxy(socket: string): Promise<string> {
  const client = createClient(proxyAdminApi, { socket });
  try {
    return await client.text("metrics", { signal: AbortSignal.timeout(DEADLINE_MS) });
  } finally {
    client.close();
  }
}

class Families {
  readonly #types = new Map<string, string>();
  readonly #samples = new Map<string, string[]>();

  add(name: string, type: string, labels: string, value: string): void {
    // A histogram's parts stand under its own name.
    const family = name.replace(/_(?:bucket|sum|count)$/, "");
    this.#types.set(family, type);
    const sample = `${name}${labels === "" ? "" : `{${labels}}`} ${value}`;
    const samples = this.#samples.get(family);
    if (samples === undefined) this.#samples.set(family, [sample]);
    else samples.push(sample);
  }

  take(principal: string, text: string): void {
    const types = new Map<string, string>();
    for (const line of text.split("\n", MAX_LINES)) {
      const type = TYPE.exec(line);
      if (type !== null) {
        types.set(type[1]!, type[2]!);
        continue;
      }
      const sample = SAMPLE.exec(line);
      if (sample === null) continue;
      const [, name, labels, value] = sample;
      // The caller's name comes from us alone.
      if (labels !== undefined && /(?:^|,)principal=/.test(labels)) continue;
      const all = `principal="${principal}"${labels === undefined ? "" : `,${labels}`}`;
      const family = name!.replace(/_(?:bucket|sum|count)$/, "");
      this.add(name!, types.get(family) ?? "untyped", all, value!);
    }
  }

  text(): string {
    let text = "";
    for (const [family, samples] of this.#samples) {
      text += `# TYPE ${family} ${this.#types.get(family)}\n${samples.join("\n")}\n`;
    }
    return text;
  }
}
