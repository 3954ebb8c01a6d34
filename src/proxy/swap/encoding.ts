// SPDX-License-Identifier: Apache-2.0

/** How a secret must be written in the place where its placeholder stood. */
import { ProxyError } from "../errors.ts";

/** `header`: one character a byte; `url`: path, query and form fields; `json`: inside a string; `raw`: as it is. */
export type Encoding = "header" | "url" | "json" | "raw";

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @throws {ProxyError} `placeholder-unfit` when the place can't hold it: a line break would write further headers */
export function encodeSecret(value: string, encoding: Encoding): string {
  switch (encoding) {
    case "raw":
      return value;
    case "json":
      return JSON.stringify(value).slice(1, -1);
    case "url":
      return encodeURIComponent(value).replace(
        /[!'()*]/g,
        (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
      );
    case "header": {
      const bytes = new TextEncoder().encode(value);
      const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      if (HEADER_VALUE.test(text)) return text;
      throw new ProxyError(
        "placeholder-unfit",
        "Cannot send the request: the credential's value has a line break and fits no header",
        { status: 400, hint: "put the placeholder into the body" },
      );
    }
  }
}

/** @param contentType empty when there is none */
export function bodyEncoding(contentType: string): Encoding {
  const type = contentType.split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/x-www-form-urlencoded") return "url";
  return type === "application/json" || type.endsWith("+json") ? "json" : "raw";
}

/** Base64 of the secret however it is aligned in what is encoded: `user:secret` of Basic authorization, say. */
export function base64Forms(value: string): string[] {
  const bytes = new TextEncoder().encode(value);
  return [0, 1, 2].flatMap((before) => {
    const padded = new Uint8Array(before + bytes.length);
    padded.set(bytes, before);
    // Only characters that hold bits of nothing else.
    const start = Math.ceil(before * 8 / 6);
    const end = Math.floor((before + bytes.length) * 8 / 6);
    const form = padded.toBase64().slice(start, end);
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

/** How a secret that was written into a request may stand in an answer that repeats it. */
export function echoedForms(value: string): string[] {
  const json = encodeSecret(value, "json");
  // `Secrets` looks for each in JSON too: an echo of JSON is often JSON that holds JSON.
  return [value, json, encodeSecret(value, "url"), ...base64Forms(value)];
}
