// SPDX-License-Identifier: Apache-2.0

/** Things to read and to follow, each under an address and a right. */

export interface Resource {
  /** `bureau://agents`, or with variables in braces: `bureau://agents/{name}/screen`. */
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
  /** Any right beside those of what it reads from; null: none. */
  readonly action: string | null;
  /** @returns text as it is, anything else as JSON */
  readonly read: (variables: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<
    unknown
  >;
  /**
   * Calls `changed` whenever a reader might read something else, until `signal`. Absent: it is read again
   * and again, and compared.
   */
  readonly follow?: (
    changed: () => void,
    signal: AbortSignal,
    variables: Readonly<Record<string, string>>,
  ) => Promise<void>;
}

const VARIABLE = /\{([a-z_]+)\}/g;

export const isTemplate = ({ uri }: Resource): boolean => uri.includes("{");

export interface Found {
  readonly resource: Resource;
  readonly variables: Readonly<Record<string, string>>;
}

/** @returns null: no resource has such an address */
export function resolveResource(resources: readonly Resource[], uri: string): Found | null {
  for (const resource of resources) {
    const names: string[] = [];
    const parts = resource.uri.split(VARIABLE);
    const pattern = parts.map((part, at) => {
      if (at % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      names.push(part);
      return "([^/?#]+)";
    }).join("");
    const match = new RegExp(`^${pattern}$`).exec(uri);
    if (match === null) continue;
    try {
      const variables = names.map((name, at) => [name, decodeURIComponent(match[at + 1]!)]);
      return { resource, variables: Object.fromEntries(variables) };
    } catch {
      return null;
    }
  }
  return null;
}
