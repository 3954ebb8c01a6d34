// SPDX-License-Identifier: Apache-2.0
import { quoteName } from "../ref/mod.ts";
import { TemplateError } from "./errors.ts";

/** Names that `${NAME}` may hold. */
export const VARIABLE_NAME = /^[A-Z_][A-Z0-9_]*$/;

/** Values for `${NAME}`. */
export type Variables = Readonly<Record<string, string>>;

/**
 * Puts values in place of `${NAME}`, once: a value that itself holds `${…}` stays as it is. Nothing but
 * `variables` is looked at, never the environment of this process.
 * @param where what the text is, for the message
 * @throws {TemplateError} `unknown-variable`, `bad-variable`
 */
export function expandVariables(text: string, variables: Variables, where: string): string {
  return text.replace(/\$\{([^}]*)(\}?)/g, (_, name: string, end: string) => {
    if (end === "" || !VARIABLE_NAME.test(name)) {
      throw new TemplateError(
        "bad-variable",
        `Cannot expand ${quoteName(where)}: a variable must look like \${NAME}, with A-Z 0-9 _`,
      );
    }
    if (!Object.hasOwn(variables, name)) {
      throw new TemplateError(
        "unknown-variable",
        `Cannot expand ${quoteName(where)}: the variable ${quoteName(name)} is not set`,
        { hint: "name it in the assignment's variables" },
      );
    }
    return variables[name]!;
  });
}

/** Names of the variables that a text asks for. */
export function variablesOf(text: string): string[] {
  return [...text.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1]!);
}
