// SPDX-License-Identifier: Apache-2.0
import { quoteName, RefError } from "./errors.ts";
import {
  isSegment,
  type Localpart,
  parseLocalpart,
  parseServerName,
  type ServerName,
} from "./names.ts";

/** `<room localpart>[@server[:port]]:<name>`, for example `bureau/template:base`. */
export interface TemplateRef {
  /** Localpart of the room's alias. */
  readonly room: Localpart;
  /** Absent: the reader's own server. */
  readonly server?: ServerName;
  /** State key of the template in that room: one segment. */
  readonly name: string;
}

/**
 * Splits at the last colon (a server may hold a port), then at the first `@`.
 * @throws {RefError} `bad-template-ref`
 */
export function parseTemplateRef(text: string): TemplateRef {
  const colon = text.lastIndexOf(":");
  const name = text.slice(colon + 1);
  if (colon <= 0 || !isSegment(name)) {
    throw new RefError(
      "bad-template-ref",
      `Cannot read the template reference ${quoteName(text)}: it must have the form room:name`,
      { hint: "for example bureau/template:agent" },
    );
  }
  const [room, ...rest] = text.slice(0, colon).split("@");
  const localpart = parseLocalpart(room!);
  // A second @ lands in the server name, whose grammar refuses it.
  return rest.length === 0
    ? { room: localpart, name }
    : { room: localpart, server: parseServerName(rest.join("@")), name };
}

export function formatTemplateRef(ref: TemplateRef): string {
  return `${ref.room}${ref.server === undefined ? "" : `@${ref.server}`}:${ref.name}`;
}
