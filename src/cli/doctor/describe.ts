// SPDX-License-Identifier: Apache-2.0

/** Findings and inventory as lines for a person. */
import type { Inventory } from "../../lib/hwinfo/mod.ts";
import type { Finding } from "./judge.ts";

const ORDER = { error: 0, warning: 1, ok: 2 } as const;
const WORD = { error: "ERROR  ", warning: "warning", ok: "ok     " } as const;

/** Worst first, each with why and what mends it. */
export function describe(findings: readonly Finding[]): string[] {
  return findings.toSorted((a, b) => ORDER[a.severity] - ORDER[b.severity]).flatMap((finding) => [
    `${WORD[finding.severity]}  ${finding.check.padEnd(15)} ${finding.message}`,
    ...(finding.severity === "ok" ? [] : details(finding)),
  ]);
}

function details({ reason, command, fix, hint }: Finding): string[] {
  return [
    ...(reason === undefined ? [] : [`         why   ${reason}`]),
    ...(command === undefined
      ? []
      : [`         mend  ${command}${fix === undefined ? "" : "   (--fix does)"}`]),
    ...(hint === undefined ? [] : [`         hint  ${hint}`]),
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
