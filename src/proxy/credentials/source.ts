// SPDX-License-Identifier: Apache-2.0

/**
 * Credentials whose value changes while the proxy runs. The launcher's document has a marker in their place;
 * a service and a placeholder put the present value there. Further kinds (request signing, minted tokens)
 * implement `CredentialSource`.
 */
import type { UpstreamEnvironment } from "../forward.ts";
import type { BoundOauth2 } from "../api.ts";
import type { Upstream } from "../upstream.ts";

export interface CredentialSource {
  /** What stands for its value in the bootstrap document. */
  readonly marker: string;
  /** Whether it is this sealed login, whatever tokens it has by now. */
  isOf(login: BoundOauth2): boolean;
  readonly upstream: Upstream;
  /** Grows with each new value. */
  readonly generation: number;
  /** What requests get now; empty before the first. */
  readonly value: string;
  /** Everything of it that must not come back in an answer. */
  readonly secrets: readonly string[];
  /** Whether `value` may be used without asking `refresh`. */
  readonly isFresh: boolean;
  /** One at a time, whoever asks. @throws {ProxyError} when there is no value that can be used */
  refresh(): Promise<void>;
  /** An upstream answered 401 to this generation. @returns whether asking for another is worth it now */
  rejected(generation: number): boolean;
}

/** What a proxy reports to its launcher, and to nobody else. Secret. */
export interface RotatedCredential {
  readonly name: string;
  /** See `BoundOauth2`. */
  readonly began: string;
  readonly refresh_token: string;
  readonly access_token: string;
  readonly expires_at?: number;
}

/** Those that one service or one host uses. */
export class Live {
  readonly #sources: readonly CredentialSource[];

  constructor(sources: readonly CredentialSource[]) {
    this.#sources = sources;
  }

  /** The one that goes on for this login, with the tokens that it has. */
  find(login: BoundOauth2): CredentialSource | undefined {
    return this.#sources.find((source) => source.isOf(login));
  }

  get isEmpty(): boolean {
    return this.#sources.length === 0;
  }

  /** Those whose marker is in one of the texts. */
  of(texts: readonly string[]): Live {
    return new Live(
      this.#sources.filter(({ marker }) => texts.some((text) => text.includes(marker))),
    );
  }

  /** Changes whenever a value does. */
  get generation(): number {
    return this.#sources.reduce((sum, { generation }) => sum + generation, 0);
  }

  get secrets(): string[] {
    return this.#sources.flatMap(({ secrets }) => secrets);
  }

  /** With present values in the place of markers. */
  fill(text: string): string {
    return this.#sources.reduce(
      (filled, { marker, value }) => filled.replaceAll(marker, () => value),
      text,
    );
  }

  get isFresh(): boolean {
    return this.#sources.every(({ isFresh }) => isFresh);
  }

  /** @throws {ProxyError} when there is no value that can be used */
  async refresh(): Promise<void> {
    await Promise.all(
      this.#sources.filter(({ isFresh }) => !isFresh).map((source) => source.refresh()),
    );
  }

  /** After a 401. @returns whether another value is worth asking for; `refresh` gets it */
  rejected(generation: number): boolean {
    if (generation !== this.generation) return true;
    return this.#sources.map((source) => source.rejected(source.generation)).includes(true);
  }
}

/** Loaded only where there are some: most principals have none. @param before whose logins may go on */
export async function openLive(
  bound: readonly BoundOauth2[] | undefined,
  environment: UpstreamEnvironment,
  onRotated: (rotated: RotatedCredential) => void,
  before: Live = new Live([]),
) {
  if (bound === undefined || bound.length === 0) return { live: new Live([]), upstreams: [] };
  const { Oauth2Source } = await import("./oauth2.ts");
  const sources = bound.map((login) =>
    before.find(login) ?? new Oauth2Source(login, environment, onRotated)
  );
  return { live: new Live(sources), upstreams: sources.map(({ upstream }) => upstream) };
}
