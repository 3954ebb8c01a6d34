// SPDX-License-Identifier: Apache-2.0

/** What a worker asks for: one like itself, for an assignment of its own. Its parent decides what becomes of it. */
import type { ProvisionInput, ProvisionSpec } from "../provision/mod.ts";
import type { Asked } from "./tool.ts";

export function wishOf(own: ProvisionSpec, asked: Asked): ProvisionInput {
  const { capabilities, model, secrets } = own;
  // Its mailbox at the orchestrator is its own.
  const { mcp_proxy: _, spawn_endpoint: __, ...rest } = capabilities;
  return {
    version: 1,
    identity: { child_id: "child", role: asked.role ?? own.identity.role },
    executor: { kind: "bamboo_runtime" },
    fabric_dir: own.fabric_dir,
    workspace: own.workspace,
    model: model === undefined ? undefined : { ...model, model: asked.model ?? model.model },
    disabled_tools: [...own.disabled_tools ?? [], ...asked.disabled_tools ?? []],
    limits: { max_rounds: asked.max_rounds },
    secrets: { provider_credentials: secrets.provider_credentials },
    capabilities: rest,
  };
}
