// SPDX-License-Identifier: Apache-2.0

/** Findings and inventory as lines for a person. */
import { asCalled } from "../framework/called.ts";
import type { Inventory } from "../../lib/hwinfo/mod.ts";
import type { Group, Status } from "./check.ts";
import type { Repair } from "./results.ts";
import type { Told } from "./run.ts";

/** Of the checkout. */
export const GUIDE = "docs/guide/troubleshooting.md";

const ORDER: Readonly<Record<Status, number>> = { fail: 0, warn: 1, skip: 2, pass: 3 };
const WORD: Readonly<Record<Status, string>> = {
  fail: "FAIL",
  warn: "warn",
  skip: "skip",
  pass: "ok",
};

/** One line a group; beneath it what is not well, worst first, each with why and what mends it. */
export function describeGroup(group: Group, found: readonly Told[], all: boolean): string[] {
  const count = (status: Status) => found.filter((one) => one.status === status).length;
  const words = [
    [count("pass"), "well"],
    [count("warn"), "to look at"],
    [count("fail"), "wrong"],
    [count("skip"), "not looked at"],
  ] as const;
  const shown = all ? found : found.filter(({ status }) => status !== "pass");
  return [
    `${group.padEnd(13)} ${
      words.filter(([many]) => many > 0).map(([many, word]) => `${many} ${word}`).join(", ")
    }`,
    ...merged(shown).toSorted((a, b) => ORDER[a.status] - ORDER[b.status]).flatMap((finding) => [
      `  ${WORD[finding.status].padEnd(4)}  ${finding.name.padEnd(20)} ${finding.detail}`,
      ...(finding.status === "pass" || finding.status === "skip" ? [] : details(finding)),
    ]),
  ];
}

/** What was skipped for one reason is one line. */
function merged(found: readonly Told[]): Told[] {
  const byReason = new Map<string, Told>();
  return found.flatMap((one): Told[] => {
    if (one.status !== "skip") return [one];
    const known = byReason.get(one.detail);
    byReason.set(one.detail, one);
    return known === undefined ? [one] : [];
  });
}

function details({ reason, repair, hint, guide }: Told): string[] {
  const line = (word: string, text: string) => `        ${word.padEnd(5)} ${asCalled(text)}`;
  const can = repair?.by === "shell" && repair.machine ? "--fix --yes does, as root" : "--fix does";
  return [
    ...(reason === undefined ? [] : [line("why", reason)]),
    ...(repair === undefined ? [] : [line("mend", `${repair.what}   (${can})`)]),
    ...(hint === undefined ? [] : [line(repair === undefined ? "mend" : "or", hint)]),
    line("see", `${GUIDE}#${guide}`),
  ];
}

/** What was mended, and what it comes to. */
export function describeEnd(
  found: readonly Told[],
  repairs: readonly Repair[],
  mending: boolean,
): string[] {
  const wrong = found.filter(({ status }) => status === "fail").length;
  const word = { done: "mended", failed: "FAILED", left: "left" } as const;
  const can = found.filter(({ repair }) => repair !== undefined).length;
  return [
    "",
    ...repairs.map(({ name, what, outcome, why }) =>
      `${word[outcome].padEnd(7)} ${name.padEnd(20)} ${what}${why === null ? "" : `: ${why}`}`
    ),
    wrong === 0
      ? "nothing is wrong"
      : `${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong${
        !mending && can > 0 ? `; --fix mends ${can}, --dry-run shows how` : ""
      }`,
  ];
}

export function describeMachine(inventory: Inventory): string[] {
  const { cpu, board, gpus, numa } = inventory;
  const gib = (bytes: number | null) => bytes === null ? "?" : (bytes / 2 ** 30).toFixed(1);
  return [
    `machine  ${
      [board.vendor, board.product].filter((one) => one !== null).join(" ") || "unknown"
    }`,
    `cpu      ${
      cpu.model ?? "unknown"
    }; sockets ${cpu.sockets}, cores ${cpu.cores}, threads ${cpu.threads}`,
    `memory   ${gib(inventory.memory_bytes)} GiB, swap ${
      gib(inventory.swap_bytes)
    } GiB, NUMA nodes ${Math.max(1, numa.length)}`,
    ...gpus.map((gpu) =>
      `gpu      ${gpu.vendor} ${gpu.model ?? gpu.pci_id ?? ""}${
        gpu.memory_bytes === null ? "" : `, ${gib(gpu.memory_bytes)} GiB`
      }`
    ),
    "",
  ];
}
