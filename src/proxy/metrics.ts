// SPDX-License-Identifier: Apache-2.0

/** Counters of one proxy, as text for Prometheus. Labels are names of services and hosts, never paths. */

/** Hosts are named by the agent, so series beyond this are counted as `other`. */
const MAX_SERIES = 128;
/** Upper bounds in seconds. */
const BUCKETS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const;

interface Series {
  readonly labels: string;
  requests: number;
  up: number;
  down: number;
}

export interface Measured {
  /** Interface: `http`, `matrix`, `api`, `forward`, `connect`, `websocket`. */
  readonly via: string;
  /** Service or host. */
  readonly service: string;
  readonly status: number;
  readonly ms: number;
  readonly up: number;
  readonly down: number;
}

export class RequestMetrics {
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Array<number>(BUCKETS.length + 1).fill(0);
  #seconds = 0;
  #count = 0;

  count({ via, service, status, ms, up, down }: Measured): void {
    const series = this.#of(via, service, status);
    series.requests++;
    series.up += up;
    series.down += down;
    const seconds = ms / 1000;
    this.#seconds += seconds;
    this.#count++;
    const at = BUCKETS.findIndex((bound) => seconds <= bound);
    this.#buckets[at === -1 ? BUCKETS.length : at]!++;
  }

  #of(via: string, service: string, status: number): Series {
    const group = status >= 100 && status < 600 ? Math.trunc(status / 100) : 0;
    const key = `${via} ${service} ${group}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES && service !== "other") {
      return this.#of(via, "other", status);
    }
    const label = service.replace(/[\\"\n]/g, "_");
    const labels = `via="${via}",service="${label}",status="${group}xx"`;
    const fresh = { labels, requests: 0, up: 0, down: 0 };
    this.#series.set(key, fresh);
    return fresh;
  }

  /** @param more gauges and counters of the whole proxy, by name without `bureau_proxy_` */
  text(more: Readonly<Record<string, number>>): string {
    const lines: string[] = [];
    const family = (name: string, type: string, each: (series: Series) => number) => {
      lines.push(`# TYPE bureau_proxy_${name} ${type}`);
      for (const series of this.#series.values()) {
        lines.push(`bureau_proxy_${name}{${series.labels}} ${each(series)}`);
      }
    };
    family("requests_total", "counter", (series) => series.requests);
    family("sent_bytes_total", "counter", (series) => series.up);
    family("received_bytes_total", "counter", (series) => series.down);
    lines.push("# TYPE bureau_proxy_request_seconds histogram");
    let below = 0;
    for (const [at, bound] of [...BUCKETS, "+Inf"].entries()) {
      below += this.#buckets[at]!;
      lines.push(`bureau_proxy_request_seconds_bucket{le="${bound}"} ${below}`);
    }
    lines.push(`bureau_proxy_request_seconds_sum ${this.#seconds}`);
    lines.push(`bureau_proxy_request_seconds_count ${this.#count}`);
    for (const [name, value] of Object.entries(more)) {
      lines.push(`# TYPE bureau_proxy_${name} ${name.endsWith("_total") ? "counter" : "gauge"}`);
      lines.push(`bureau_proxy_${name} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
