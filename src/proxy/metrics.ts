// SPDX-License-Identifier: Apache-2.0

/** Counters of one proxy. Labels are names of services and hosts, never paths. */
import { Histogram, type Measured as Metrics, statusClass } from "../lib/metrics/mod.ts";

/** Hosts are named by the agent, so series beyond this are counted as `other`. */
const MAX_SERIES = 128;

interface Series {
  readonly labels: { readonly via: string; readonly service: string; readonly status: string };
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
  readonly #durations = new Histogram();

  count({ via, service, status, ms, up, down }: Measured): void {
    const series = this.#of(via, service, status);
    series.requests++;
    series.up += up;
    series.down += down;
    this.#durations.observe(ms / 1000);
  }

  #of(via: string, service: string, status: number): Series {
    const group = statusClass(status);
    const key = `${via} ${service} ${group}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES && service !== "other") {
      return this.#of(via, "other", status);
    }
    const fresh = { labels: { via, service, status: group }, requests: 0, up: 0, down: 0 };
    this.#series.set(key, fresh);
    return fresh;
  }

  get measured(): Metrics {
    const all = [...this.#series.values()];
    return {
      bureau_proxy_requests_total: all.map(({ labels, requests }) => [labels, requests]),
      bureau_proxy_sent_bytes_total: all.map(({ labels, up }) => [labels, up]),
      bureau_proxy_received_bytes_total: all.map(({ labels, down }) => [labels, down]),
      bureau_proxy_request_seconds: this.#durations.distribution,
    };
  }
}
