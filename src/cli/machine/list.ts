// SPDX-License-Identifier: Apache-2.0

/** `machine list` and `machine show`: the fleet, from its rooms. */
import type { MachineInfo } from "../../lib/schema/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandContext, CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { loadSession, matrixClient } from "../session.ts";
import { findMachine, type Machine, readFleet } from "./fleet.ts";
import { keyProblem, readRecord } from "./record.ts";
import type * as results from "./results.ts";

/** A machine with what the operator's own files say besides. */
export interface Known extends Machine {
  /** In one word, what an operator has to know of it first. */
  readonly state: string;
  /** Why nothing is sealed to its key; null: it is. */
  readonly key_problem: string | null;
}

export async function known(context: CommandContext, machine: Machine): Promise<Known> {
  const key_problem = await keyProblem(context, machine);
  return { ...machine, key_problem, state: await stateOf(context, machine, key_problem) };
}

async function stateOf(
  context: CommandContext,
  machine: Machine,
  problem: string | null,
): Promise<string> {
  if (machine.revoked !== null) return "revoked";
  if (machine.membership !== "join") {
    const record = await readRecord(context, machine.name);
    if (record === null) return "not joined";
    return record.expires_at < Date.now() ? "expired" : "provisioned";
  }
  if (machine.key === null) return "no key";
  if (problem !== null) return "distrusted";
  return machine.cordon === null ? "ready" : "cordoned";
}

function heartbeat({ status }: Machine): string {
  return status === null || status.at === null ? "none" : `${ago(status.at)} ago`;
}

export function machineTable(fleet: readonly Known[]): string[] {
  return table(
    ["MACHINE", "STATE", "HEARTBEAT", "PRINCIPALS", "KEY", "NOTE"],
    fleet.map((machine) => [
      machine.name,
      machine.state,
      heartbeat(machine),
      String(machine.principals.length),
      machine.key === null ? "none" : `${machine.key.public_key.slice(0, 12)}…`,
      [
        machine.here ? "this one" : "",
        neutralise(machine.cordon?.reason ?? ""),
        machine.state === "distrusted" ? machine.key_problem! : "",
      ].filter((part) => part !== "").join("; "),
    ]),
    ["KEY"],
  );
}

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const fleet = await readFleet(matrixClient(session), session);
  const machines = await Promise.all(fleet.map((machine) => known(call, machine)));
  for (const line of machineTable(machines)) call.print(line);
  return { machines };
};

export function hardwareOf(info: MachineInfo): [string, string][] {
  const { cpu, board_vendor, board_name, numa_nodes = 1 } = info;
  const threads = cpu.sockets * cpu.cores_per_socket * cpu.threads_per_core;
  const board = [board_vendor, board_name].filter((part) => part !== undefined).join(" ");
  return [
    ...(board === "" ? [] : [["board", board] as [string, string]]),
    [
      "cpu",
      `${cpu.model}; sockets ${cpu.sockets}, cores ${cpu.sockets * cpu.cores_per_socket}, ` +
      `threads ${threads}`,
    ],
    ["memory", `${info.memory_total_mb} MiB, NUMA nodes ${numa_nodes}`],
    ...info.gpus.map((gpu): [string, string] => {
      const { vendor, pci_slot, driver, model_name, pci_device_id, vram_total_bytes } = gpu;
      const name = [model_name, pci_device_id].find((one) => typeof one === "string") ?? "";
      const memory = typeof vram_total_bytes === "number"
        ? `, ${Math.round(vram_total_bytes / 2 ** 20)} MiB`
        : "";
      const where = pci_slot === "" ? "" : ` at ${pci_slot}`;
      return ["gpu", `${vendor} ${name}${where}${memory}${driver === "" ? "" : `, ${driver}`}`];
    }),
  ];
}

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const name = call.args[0] ?? session.machine;
  const machine = await known(call, await findMachine(matrixClient(session), session, name));
  const { info, key, cordon } = machine;
  const lines: [string, string][] = [
    ["name", machine.name],
    ["account", machine.user_id],
    ["state", machine.state],
    ["heartbeat", heartbeat(machine)],
    ["key", key?.public_key ?? "none"],
    ...(key === null || machine.key_problem === null
      ? []
      : [["distrusted", machine.key_problem] as [string, string]]),
    ["config room", machine.room ?? "none"],
  ];
  if (cordon !== null) {
    const reason = cordon.reason === undefined ? "" : `: ${cordon.reason}`;
    lines.push(["cordoned", `for ${ago(cordon.since)}, by ${cordon.by}${reason}`]);
  }
  if (machine.revoked !== null) lines.push(["revoked", machine.revoked]);
  if (info !== null) {
    lines.push(
      ["host", `${info.hostname}, Linux ${info.kernel_version}, Bureau ${info.daemon_version}`],
      ...hardwareOf(info),
    );
  }
  for (const [name, value] of lines) call.print(`${name.padEnd(12)} ${neutralise(value)}`);
  if (machine.principals.length > 0) {
    call.print("");
    const rows = machine.principals.map((one) => [
      shortName(one.principal.slice(1).split(":")[0]!),
      one.desired,
      one.phase ?? "not reported",
      one.since === null ? "-" : ago(one.since),
      neutralise(one.message ?? ""),
    ]);
    for (const line of table(["PRINCIPAL", "WANTED", "STATE", "SINCE", "NOTE"], rows)) {
      call.print(line);
    }
  }
  return machine;
};
