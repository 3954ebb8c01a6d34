// SPDX-License-Identifier: Apache-2.0

/** Credentials that an API takes in its query. */

/** Decides for one service; made once, used for every request. */
export class QueryPolicy {
  readonly #names: ReadonlySet<string>;
  readonly #injected: string;

  constructor(inject: Readonly<Record<string, string>>) {
    this.#names = new Set(Object.keys(inject).map((name) => name.toLowerCase()));
    this.#injected = Object.entries(inject)
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
  }

  /**
   * The caller's query without the parameters that are injected, in whatever spelling (encoded, other
   * case, `name[]`), then the injected ones. Everything else stays byte for byte.
   *
   * @param query with its question mark, or empty
   */
  toUpstream(query: string): string {
    if (this.#names.size === 0) return query;
    // `;` separates for some servers; splitting there too only ever removes more.
    const kept = query.slice(1).split(/(?=[&;])/).filter((part) => {
      const name = parameterName(part.replace(/^[&;]/, ""));
      return name !== "" && !this.#names.has(name);
    }).join("").replace(/^[&;]/, "");
    return `?${kept === "" ? "" : `${kept}&`}${this.#injected}`;
  }
}

/** Lower case, decoded, without `[…]`: the name as the laxest server reads it. */
function parameterName(part: string): string {
  const raw = part.split("=", 1)[0]!.replaceAll("+", " ");
  let name = raw;
  try {
    name = decodeURIComponent(raw);
  } catch {
    // Malformed: a server takes it as it stands.
  }
  return name.toLowerCase().trim().replace(/\[.*$/, "");
}
