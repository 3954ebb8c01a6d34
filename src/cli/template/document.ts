// SPDX-License-Identifier: Apache-2.0

/** A template as somebody wrote it down, YAML or JSON. */
import { Template } from "../../lib/schema/mod.ts";
import { templateWarnings, validateTemplate } from "../../lib/template/mod.ts";
import { inOrder, type Mistake, readDocument } from "../framework/document.ts";

export type { Mistake };

export interface ReadTemplate {
  /** Null when it can't be read as a template at all. */
  readonly template: Template | null;
  /** Every one, in the order of the text. */
  readonly mistakes: readonly Mistake[];
  /** What is no mistake, but seldom meant. */
  readonly warnings: readonly Mistake[];
}

export function readTemplateText(text: string): ReadTemplate {
  const { value, mistakes, mistake } = readDocument(text, {
    schema: Template,
    noun: "template",
    validate: validateTemplate,
  });
  return {
    template: value,
    mistakes,
    warnings: value === null ? [] : inOrder(
      templateWarnings(value).map(({ field, message }) => mistake(field, message)),
    ),
  };
}
