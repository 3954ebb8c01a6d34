// SPDX-License-Identifier: Apache-2.0

/**
 * Okapi BM25 with k1 1.2 and b 0.75. A field's weight is how often its text counts, so that a name that
 * holds a word outranks a description that does.
 */
const K1 = 1.2;
const B = 0.75;

export interface Field {
  readonly text: string;
  /** A whole number; 1: as it stands. */
  readonly weight: number;
}

export interface Document {
  /** Unique; what decides between equals. */
  readonly name: string;
  readonly fields: readonly Field[];
}

export interface Hit {
  readonly name: string;
  readonly score: number;
}

/** Lower-case runs of ASCII letters and digits; whatever else stands in a text only parts words. */
export function tokensOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

interface Indexed {
  readonly name: string;
  readonly length: number;
  readonly counts: ReadonlyMap<string, number>;
}

export class SearchIndex {
  readonly #documents: readonly Indexed[];
  /** In how many documents a word stands. */
  readonly #frequency = new Map<string, number>();
  readonly #averageLength: number;

  constructor(documents: readonly Document[]) {
    this.#documents = documents.map(indexed);
    let total = 0;
    for (const { length, counts } of this.#documents) {
      total += length;
      for (const word of counts.keys()) {
        this.#frequency.set(word, (this.#frequency.get(word) ?? 0) + 1);
      }
    }
    this.#averageLength = total / Math.max(1, this.#documents.length);
  }

  /**
   * Whoever may not see a document must not have it in the index: what is left out afterwards would have
   * taken another's place.
   *
   * @param limit of hits; absent: all
   * @returns the documents that hold a word of `query`, best first, equals by name
   */
  search(query: string, limit = Infinity): Hit[] {
    // Sorted: a sum of floating-point numbers depends on its order, and the order of words must not matter.
    const words = [...new Set(tokensOf(query))].sort();
    const hits: Hit[] = [];
    for (const document of this.#documents) {
      const score = this.#score(document, words);
      if (score > 0) hits.push({ name: document.name, score });
    }
    hits.sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    return hits.slice(0, limit);
  }

  #score({ counts, length }: Indexed, words: readonly string[]): number {
    let score = 0;
    for (const word of words) {
      const count = counts.get(word);
      if (count === undefined) continue;
      const found = this.#frequency.get(word)!;
      // Never negative, also for a word that stands everywhere.
      const rarity = Math.log(1 + (this.#documents.length - found + 0.5) / (found + 0.5));
      const share = K1 * (1 - B + B * length / this.#averageLength);
      score += rarity * count * (K1 + 1) / (count + share);
    }
    return score;
  }
}

function indexed({ name, fields }: Document): Indexed {
  const counts = new Map<string, number>();
  let length = 0;
  for (const { text, weight } of fields) {
    for (const word of tokensOf(text)) {
      counts.set(word, (counts.get(word) ?? 0) + weight);
      length += weight;
    }
  }
  return { name, length, counts };
}
