// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readTemplateText } from "./document.ts";

const told = (text: string) =>
  readTemplateText(text).mistakes.map(({ line, column, field, message }) =>
    `${line}:${column} ${field}: ${message}`
  );

Deno.test("a template in YAML or JSON is read as it is", () => {
  const yaml = "description: it\ncommand: [/bin/sh]\nenvironment_variables: { A: b }\n";
  const json = `{"description":"it","command":["/bin/sh"],"environment_variables":{"A":"b"}}`;
  assert.deepEqual(readTemplateText(yaml).mistakes, []);
  assert.deepEqual(readTemplateText(yaml), readTemplateText(json));
});

Deno.test("every mistake is told with where it stands", () => {
  assert.deepEqual(
    told(`description: it
command: [/bin/sh]
comand: [/bin/sh]
filesystem:
  - dest: /tmp
    type: tmpfs
  - dest: ../up
    source: /src
    mod: rw
environment_variables:
  "A.B": x
  GOOD: y
egress:
  allow: [good.org:443, preset:none]
`),
    [
      "3:1 comand: is no field of a template",
      "7:5 filesystem[1].dest: must be an absolute path without ..",
      "9:5 filesystem[1].mod: is no field of a template",
      "11:3 environment_variables.A.B: is not a variable's name",
    ].concat(
      told("egress: {allow: [preset:none]}\ndescription: d\ncommand: [a]").map((line) =>
        line.replace(/^1:\d+ egress.allow\[0\]/, "14:25 egress.allow[1]")
      ),
    ),
  );
});

Deno.test("what is no template says what it must be", () => {
  assert.deepEqual(told("description: [1]\ncommand: /bin/sh\nfilesystem:\n  - mode: rwx\n"), [
    "1:1 description: must be a string",
    "2:1 command: must be an array",
    "4:5 filesystem[0].dest: must be a string",
    "4:5 filesystem[0].mode: must be one of ro, rw",
  ]);
  assert.match(told("a: [1\nb: 2").join(), /^\d+:\d+ : /);
  assert.match(told("a: 1\na: 2").join(), /^2:1 : Map keys must be unique/);
  assert.match(told("just text").join(), /must be an object/);
  assert.match(told("x".repeat(300_000)).join(), /longer than/);
});

Deno.test("aliases that multiply are refused, not unfolded", () => {
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  for (const [one, next] of ["ab", "bc", "cd", "de", "ef", "fg"]) {
    bomb.push(`${next}: &${next} [${Array(9).fill(`*${one}`).join(",")}]`);
  }
  assert.match(told(bomb.join("\n")).join(), /[Ee]xcessive alias/);
});

Deno.test("placeholders without a bridge are warned of where that can be known, and are no mistake", () => {
  const warned = (text: string) => {
    const { mistakes, warnings } = readTemplateText(`description: x\n${text}`);
    assert.deepEqual(mistakes, []);
    return warnings.map(({ line, field }) => [line, field]);
  };
  const own = "command: [sh]\nplaceholders: { KEY: key }\n";
  assert.deepEqual(warned(own), [[3, "placeholders"]]);
  assert.deepEqual(warned(`${own}bridge: false\n`), [[3, "placeholders"]]);
  assert.deepEqual(warned(`${own}bridge: true\n`), []);
  const inherits = "inherits: ['bureau/template:base']\nplaceholders: { KEY: key }\n";
  assert.deepEqual(warned(inherits), []);
  assert.deepEqual(warned(`${inherits}bridge: false\n`), [[3, "placeholders"]]);
});
