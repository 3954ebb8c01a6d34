// SPDX-License-Identifier: Apache-2.0
import {
  type CastCode,
  eventLine,
  headerLine,
  ownerText,
  recordingId,
} from "../../../lib/recording/mod.ts";
import { principalHash } from "../../../lib/ref/mod.ts";

export type Line = readonly [interval: number, code: CastCode, data: string];

export function castText(startedAt: number, lines: readonly Line[]): string {
  const header = { cols: 80, rows: 24, startedAt, title: "a recording" };
  return headerLine(header) + lines.map((line) => eventLine(...line)).join("");
}

/** @returns the directory, as the launcher would have made it */
export async function recordingsOf(stateDir: string, principal: string): Promise<string> {
  const dir = `${stateDir}/recordings/${await principalHash(principal)}`;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(
    `${dir}/owner.json`,
    ownerText({ principal, maxBytes: 1e9, keepMs: 1e9 }),
  );
  return dir;
}

/** @returns its id */
export async function putRecording(
  dir: string,
  { session = "ab12cd34", part = 1, startedAt, lines, open = false }: {
    readonly session?: string;
    readonly part?: number;
    readonly startedAt: number;
    readonly lines: readonly Line[];
    readonly open?: boolean;
  },
): Promise<string> {
  const id = recordingId(session, part, startedAt);
  const text = castText(startedAt, lines);
  if (open) {
    await Deno.writeTextFile(`${dir}/${id}.cast`, text);
  } else {
    const bytes = ReadableStream.from([new TextEncoder().encode(text)]);
    await Deno.writeFile(`${dir}/${id}.cast.gz`, bytes.pipeThrough(new CompressionStream("gzip")));
  }
  return id;
}
