// SPDX-License-Identifier: Apache-2.0

/** What happened since the start, for `stats` and `metrics`. In memory: a restart counts anew. */

export interface RequestCount {
  readonly method: string;
  /** The route's pattern, never a path: its parameters are names of rooms and people. */
  readonly route: string;
  readonly status: number;
  readonly count: number;
}

export class Counters {
  readonly #requests = new Map<
    string,
    { method: string; route: string; status: number; count: number }
  >();
  /** Long polls that had something to tell, and those that ended without. */
  readonly syncs = { answered: 0, empty: 0 };
  rateLimited = 0;

  request(method: string, route: string, status: number): void {
    // A method can be any word that a client makes up.
    const known = /^(GET|PUT|POST|DELETE|OPTIONS)$/.test(method) ? method : "other";
    const key = `${known} ${status} ${route}`;
    const entry = this.#requests.get(key);
    if (entry === undefined) this.#requests.set(key, { method: known, route, status, count: 1 });
    else entry.count++;
    if (status === 429) this.rateLimited++;
  }

  /** The busiest first. */
  get requests(): RequestCount[] {
    return [...this.#requests.values()].map((entry) => ({ ...entry }))
      .toSorted((a, b) => b.count - a.count || (a.route < b.route ? -1 : 1));
  }
}
