// SPDX-License-Identifier: Apache-2.0

/**
 * Looks for secrets in what a run left: every file below some directories (names, links and contents), and
 * byte strings. A secret is looked for as it is and in the forms in which programs write it down. It finds
 * copies, not what a program computes from a secret on purpose.
 */
import { concatBytes } from "../../src/lib/bytes.ts";

export interface Finding {
  /** Never the secret itself. */
  readonly secret: string;
  readonly form: string;
  readonly where: string;
}

export interface Looked {
  readonly findings: readonly Finding[];
  readonly files: number;
  readonly bytes: number;
  /** What could not be read: a scan that saw nothing proves nothing. */
  readonly unread: readonly string[];
}

interface Form {
  readonly secret: string;
  readonly form: string;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** Base64 of a text differs by what stands before it: each of the three, without the ends that others touch. */
function* base64Forms(bytes: Uint8Array): Generator<[string, string]> {
  for (const before of [0, 1, 2]) {
    const text = concatBytes([new Uint8Array(before), bytes]).toBase64();
    const first = Math.ceil(before * 8 / 6);
    const whole = Math.floor((before + bytes.length) * 8 / 6);
    yield [`base64+${before}`, text.slice(first, whole)];
  }
}

/** @param secrets name → value, each at least 12 bytes of no ordinary text */
export function formsOf(secrets: Readonly<Record<string, string>>): readonly Form[] {
  const forms: Form[] = [];
  for (const [secret, value] of Object.entries(secrets)) {
    if (value.length < 12) throw new Error(`the secret "${secret}" is too short to be looked for`);
    const bytes = encoder.encode(value);
    const written = new Map<string, string>([
      ["plain", value],
      ["percent", encodeURIComponent(value)],
      ["json", JSON.stringify(value).slice(1, -1)],
      ["hex", bytes.toHex()],
      ["reversed", [...value].reverse().join("")],
      ["utf16", [...value].map((char) => `${char}\0`).join("")],
    ]);
    for (const [name, text] of base64Forms(bytes)) {
      written.set(name, text);
      written.set(`${name}url`, text.replaceAll("+", "-").replaceAll("/", "_"));
    }
    const seen = new Set<string>();
    for (const [form, text] of written) {
      if (seen.has(text)) continue;
      seen.add(text);
      forms.push({ secret, form, bytes: encoder.encode(text) });
    }
  }
  return forms;
}

export function findIn(data: Uint8Array, forms: readonly Form[], where: string): Finding[] {
  // One character a byte: the engine's own search is the fastest there is here.
  const text = latin1.decode(data);
  return forms.filter(({ bytes }) => text.includes(latin1.decode(bytes)))
    .map(({ secret, form }) => ({ secret, form, where }));
}

const PIECE = 8 * 1024 * 1024;

/** In pieces that overlap by more than any form is long. */
async function findInFile(path: string, forms: readonly Form[]): Promise<[Finding[], number]> {
  const overlap = Math.max(...forms.map(({ bytes }) => bytes.length));
  using file = await Deno.open(path);
  const buffer = new Uint8Array(PIECE + overlap);
  const findings = new Map<string, Finding>();
  let kept = 0;
  let total = 0;
  while (true) {
    const count = await file.read(buffer.subarray(kept));
    if (count === null) break;
    total += count;
    const filled = buffer.subarray(0, kept + count);
    for (const found of findIn(filled, forms, path)) {
      findings.set(`${found.secret} ${found.form}`, found);
    }
    const keep = filled.slice(Math.max(0, filled.length - overlap));
    buffer.set(keep);
    kept = keep.length;
  }
  return [[...findings.values()], total];
}

/** @param except paths that hold secrets by right: nothing below them is looked at */
export async function scanDirectories(
  dirs: readonly string[],
  secrets: Readonly<Record<string, string>>,
  except: readonly string[] = [],
): Promise<Looked> {
  const forms = formsOf(secrets);
  const findings: Finding[] = [];
  const unread: string[] = [];
  let files = 0;
  let bytes = 0;
  const walk = async (dir: string) => {
    for await (const entry of Deno.readDir(dir)) {
      const path = `${dir}/${entry.name}`;
      if (except.includes(path)) continue;
      findings.push(...findIn(encoder.encode(entry.name), forms, `the name ${path}`));
      if (entry.isDirectory) await walk(path);
      else if (entry.isSymlink) {
        findings.push(...findIn(encoder.encode(await Deno.readLink(path)), forms, path));
      } else if (entry.isFile) {
        files++;
        const [found, length] = await findInFile(path, forms);
        findings.push(...found);
        bytes += length;
      }
    }
  };
  for (const dir of dirs) {
    await walk(dir).catch((thrown) => unread.push(`${dir}: ${thrown}`));
  }
  return { findings, files, bytes, unread };
}
