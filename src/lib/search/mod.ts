// SPDX-License-Identifier: Apache-2.0

/** Finding a thing by words, best first: Okapi BM25 over a few hundred short texts. */
export { type Document, type Field, type Hit, SearchIndex, tokensOf } from "./bm25.ts";
