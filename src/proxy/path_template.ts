// SPDX-License-Identifier: Apache-2.0

/** A path as it may be written down: which endpoint, not which thing, and never a query. */

/** Words of an interface (`v1`, `chat`, `user.list`); what else is there is somebody's name or number. */
const WORD = /^(?:v\d{1,3}|[a-z][a-z_.-]{0,23}|[a-z][a-z_-]{1,15}\d{1,2})$/i;
const MAX_SEGMENTS = 4;

/**
 * At most four segments, and `*` for each that could be an id, a name or a key.
 * @param path with or without a query
 */
export function pathTemplate(path: string): string {
  const query = path.search(/[?#;]/);
  const segments = (query === -1 ? path : path.slice(0, query)).split("/", MAX_SEGMENTS + 2);
  let template = "";
  for (let at = 1; at < segments.length; at++) {
    if (at > MAX_SEGMENTS) return `${template}/…`;
    const segment = segments[at]!;
    template += segment === "" || WORD.test(segment) ? `/${segment}` : "/*";
  }
  return template === "" ? "/" : template;
}
