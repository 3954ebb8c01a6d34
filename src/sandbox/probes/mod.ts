// SPDX-License-Identifier: Apache-2.0

/** What a sandbox must refuse, tried from inside: one property a file. */
import { probe as abstractSockets } from "./abstract_sockets.ts";
import { probe as accounting } from "./accounting.ts";
import { probe as beneathBinds } from "./beneath_binds.ts";
import { probe as bpf } from "./bpf.ts";
import { probe as bureauSockets } from "./bureau_sockets.ts";
import { probe as capabilities } from "./capabilities.ts";
import { probe as capabilitiesOfRoot } from "./capabilities_of_root.ts";
import { probe as cgroupFiles } from "./cgroup_files.ts";
import { probe as cgroupNames } from "./cgroup_names.ts";
import { probe as chroot } from "./chroot.ts";
import { probe as clock } from "./clock.ts";
import { probe as clone3 } from "./clone3.ts";
import { probe as cloneNamespaces } from "./clone_namespaces.ts";
import { probe as commandLines } from "./command_lines.ts";
import { probe as copiedProgram } from "./copied_program.ts";
import { probe as coreFiles } from "./core_files.ts";
import { probe as corePattern } from "./core_pattern.ts";
import { probe as credentialsOfPeople } from "./credentials_of_people.ts";
import { probe as dbus } from "./dbus.ts";
import { probe as descriptorFlood } from "./descriptor_flood.ts";
import { probe as devFill } from "./dev_fill.ts";
import { probe as deviceMaking } from "./device_making.ts";
import { probe as deviceMounts } from "./device_mounts.ts";
import { probe as devices } from "./devices.ts";
import { probe as dns } from "./dns.ts";
import { probe as docker } from "./docker.ts";
import { probe as editorConfiguration } from "./editor_configuration.ts";
import { probe as environment } from "./environment.ts";
import { probe as fileHandles } from "./file_handles.ts";
import { probe as filterActive } from "./filter_active.ts";
import { probe as foreignCommandLines } from "./foreign_command_lines.ts";
import { probe as foreignMemory } from "./foreign_memory.ts";
import { probe as foreignProcesses } from "./foreign_processes.ts";
import { probe as foreignRoots } from "./foreign_roots.ts";
import { probe as foreignSignals } from "./foreign_signals.ts";
import { probe as forkBomb } from "./fork_bomb.ts";
import { probe as gitConfig } from "./git_config.ts";
import { probe as gitExchange } from "./git_exchange.ts";
import { probe as gitHooks } from "./git_hooks.ts";
import { probe as hostAccounts } from "./host_accounts.ts";
import { probe as hostFiles } from "./host_files.ts";
import { probe as hostLog } from "./host_log.ts";
import { probe as hostName } from "./host_name.ts";
import { probe as inheritedDescriptors } from "./inherited_descriptors.ts";
import { probe as initProgram } from "./init_program.ts";
import { probe as ioUring } from "./io_uring.ts";
import { probe as joinNamespaces } from "./join_namespaces.ts";
import { probe as kernelLog } from "./kernel_log.ts";
import { probe as kernelMemory } from "./kernel_memory.ts";
import { probe as kernelModules } from "./kernel_modules.ts";
import { probe as kernelObjects } from "./kernel_objects.ts";
import { probe as kexec } from "./kexec.ts";
import { probe as keyringAdd } from "./keyring_add.ts";
import { probe as keyringRead } from "./keyring_read.ts";
import { probe as keyringRequest } from "./keyring_request.ts";
import { probe as loader } from "./loader.ts";
import { probe as memoryProgram } from "./memory_program.ts";
import { probe as mount } from "./mount.ts";
import { probe as mountApi } from "./mount_api.ts";
import { probe as nestedBwrap } from "./nested_bwrap.ts";
import { probe as nestedNamespaces } from "./nested_namespaces.ts";
import { probe as networkInterfaces } from "./network_interfaces.ts";
import { probe as networkLoopback } from "./network_loopback.ts";
import { probe as networkLoopbackV6 } from "./network_loopback_v6.ts";
import { probe as networkMetadata } from "./network_metadata.ts";
import { probe as networkRaw } from "./network_raw.ts";
import { probe as networkRoute } from "./network_route.ts";
import { probe as noNewPrivileges } from "./no_new_privileges.ts";
import { probe as nosuidMounts } from "./nosuid_mounts.ts";
import { probe as otherAbi32 } from "./other_abi_32.ts";
import { probe as otherAbiX32 } from "./other_abi_x32.ts";
import { probe as otherPrincipals } from "./other_principals.ts";
import { probe as perf } from "./perf.ts";
import { probe as personality } from "./personality.ts";
import { probe as pivotRoot } from "./pivot_root.ts";
import { probe as plantedLink } from "./planted_link.ts";
import { probe as policyFile } from "./policy_file.ts";
import { probe as priority } from "./priority.ts";
import type { Probe } from "./probe.ts";
import { probe as readOthersMemory } from "./read_others_memory.ts";
import { probe as realtime } from "./realtime.ts";
import { probe as reboot } from "./reboot.ts";
import { probe as rootInside } from "./root_inside.ts";
import { probe as scratchFill } from "./scratch_fill.ts";
import { probe as serviceManager } from "./service_manager.ts";
import { probe as setuidBwrap } from "./setuid_bwrap.ts";
import { probe as setuidProgram } from "./setuid_program.ts";
import { probe as sharedMemoryFiles } from "./shared_memory_files.ts";
import { probe as sharedMemoryObjects } from "./shared_memory_objects.ts";
import { probe as shmFill } from "./shm_fill.ts";
import { probe as socketCrypto } from "./socket_crypto.ts";
import { probe as socketExotic } from "./socket_exotic.ts";
import { probe as socketVsock } from "./socket_vsock.ts";
import { probe as sshAgent } from "./ssh_agent.ts";
import { probe as swap } from "./swap.ts";
import { probe as sysctl } from "./sysctl.ts";
import { probe as sysrq } from "./sysrq.ts";
import { probe as terminalConsole } from "./terminal_console.ts";
import { probe as terminalInput } from "./terminal_input.ts";
import { probe as terminalShared } from "./terminal_shared.ts";
import { probe as traceOthers } from "./trace_others.ts";
import { probe as unshareMounts } from "./unshare_mounts.ts";
import { probe as userfaultfd } from "./userfaultfd.ts";
import { probe as wayland } from "./wayland.ts";
import { probe as writeContract } from "./write_contract.ts";
import { probe as writePrograms } from "./write_programs.ts";
import { probe as writeProxyDirectory } from "./write_proxy_directory.ts";
import { probe as writeRoot } from "./write_root.ts";
import { probe as x11 } from "./x11.ts";

export * from "./probe.ts";
export * from "./script.ts";

/** In the order of a table for a person: terminal, privileges, processes, calls, network, files, limits. */
export const probes: readonly Probe[] = [
  terminalInput,
  terminalConsole,
  terminalShared,
  inheritedDescriptors,
  capabilities,
  capabilitiesOfRoot,
  noNewPrivileges,
  setuidProgram,
  nosuidMounts,
  setuidBwrap,
  rootInside,
  nestedNamespaces,
  cloneNamespaces,
  clone3,
  unshareMounts,
  joinNamespaces,
  nestedBwrap,
  loader,
  copiedProgram,
  memoryProgram,
  chroot,
  deviceMaking,
  foreignProcesses,
  foreignSignals,
  foreignCommandLines,
  foreignRoots,
  foreignMemory,
  initProgram,
  traceOthers,
  readOthersMemory,
  priority,
  realtime,
  keyringRead,
  keyringAdd,
  keyringRequest,
  bpf,
  perf,
  userfaultfd,
  ioUring,
  mount,
  mountApi,
  pivotRoot,
  fileHandles,
  clock,
  kexec,
  kernelModules,
  reboot,
  swap,
  accounting,
  kernelLog,
  personality,
  filterActive,
  otherAbi32,
  otherAbiX32,
  networkInterfaces,
  networkLoopback,
  networkLoopbackV6,
  networkRoute,
  networkMetadata,
  dns,
  networkRaw,
  socketVsock,
  socketCrypto,
  socketExotic,
  abstractSockets,
  dbus,
  x11,
  wayland,
  sshAgent,
  docker,
  serviceManager,
  hostLog,
  hostFiles,
  hostAccounts,
  credentialsOfPeople,
  policyFile,
  bureauSockets,
  otherPrincipals,
  writePrograms,
  writeContract,
  writeProxyDirectory,
  writeRoot,
  beneathBinds,
  gitHooks,
  gitConfig,
  gitExchange,
  editorConfiguration,
  plantedLink,
  sysrq,
  corePattern,
  sysctl,
  kernelMemory,
  kernelObjects,
  devices,
  deviceMounts,
  cgroupFiles,
  cgroupNames,
  hostName,
  sharedMemoryObjects,
  sharedMemoryFiles,
  environment,
  commandLines,
  forkBomb,
  descriptorFlood,
  coreFiles,
  scratchFill,
  devFill,
  shmFill,
];
