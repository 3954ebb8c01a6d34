// SPDX-License-Identifier: Apache-2.0

/**
 * What a warm worker was made with, as a key: a run may have it only where its own is the same. Keys of models count by
 * a digest of this process alone, which is of no use to anybody else and tells nothing of them.
 */
import type { ProvisionSpec } from "../provision/mod.ts";
import { stable } from "./stable.ts";

export class PoolKeys {
  readonly #key = crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

  /** @param principal for whom: a worker never serves two */
  async of(principal: string, spec: ProvisionSpec): Promise<string> {
    const bytes = new TextEncoder().encode(stable({ ...madeWith(spec), principal }));
    return new Uint8Array(await crypto.subtle.sign("HMAC", await this.#key, bytes)).toHex();
  }
}

/** Everything that was decided when a worker was made, its secrets among it; not who asks, and not what for. */
function madeWith(spec: ProvisionSpec): Fields {
  const { child_id: _, parent_id: __, ...identity } = spec.identity;
  const { fabric_dir: ___, reusable: ____, ...rest } = spec;
  const { worker_auth_token: _____, ...secrets } = spec.secrets;
  return { ...rest, identity, secrets, disabled_tools: spec.disabled_tools?.toSorted() };
}

/** The fields by which two specs are not for the same workers, e.g. `identity.role`. */
export function differences(one: ProvisionSpec, other: ProvisionSpec): string[] {
  return differing(madeWith(one), madeWith(other)).sort();
}

function differing(a: Fields, b: Fields, prefix = ""): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => stable(a[name]) !== stable(b[name])).flatMap((name) => {
    const [left, right] = [a[name], b[name]];
    // Further down are a person's own words, and secrets.
    return prefix === "" && isFields(left) && isFields(right)
      ? differing(left, right, `${name}.`)
      : [`${prefix}${name}`];
  });
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
