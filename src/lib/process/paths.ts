// SPDX-License-Identifier: Apache-2.0

/** Where everything lies under a state directory and a run directory (docs/design/contracts.md). */
export interface Layout {
  readonly stateDir: string;
  readonly runDir: string;
}

export interface Paths {
  readonly runtime: string;
  /** Releases side by side, each named by its digest; `runtime` is what `up` itself brought. */
  readonly releases: string;
  readonly logs: string;
  readonly homeserver: string;
  readonly launcherState: string;
  readonly daemonState: string;
  readonly authority: string;
  readonly operator: string;
  readonly workspaces: string;
  readonly recordings: string;
  readonly agents: string;
  readonly policy: string;
  readonly machineSession: string;
  readonly machineKeyPublic: string;
  readonly upSocket: string;
  readonly launcherSocket: string;
  readonly daemonSocket: string;
  readonly webSocket: string;
  readonly principals: string;
}

export function pathsOf({ stateDir, runDir }: Layout): Paths {
  return {
    runtime: `${stateDir}/runtime`,
    releases: `${stateDir}/releases`,
    logs: `${stateDir}/logs`,
    homeserver: `${stateDir}/homeserver`,
    launcherState: `${stateDir}/launcher`,
    daemonState: `${stateDir}/daemon`,
    authority: `${stateDir}/authority`,
    operator: `${stateDir}/operator`,
    workspaces: `${stateDir}/workspaces`,
    recordings: `${stateDir}/recordings`,
    agents: `${stateDir}/agents`,
    policy: `${stateDir}/operator/policy.json`,
    machineSession: `${stateDir}/operator/machine-session.json`,
    machineKeyPublic: `${stateDir}/launcher/machine-key.pub`,
    upSocket: `${runDir}/up/up.sock`,
    launcherSocket: `${runDir}/launcher/launcher.sock`,
    daemonSocket: `${runDir}/daemon/daemon.sock`,
    webSocket: `${runDir}/web/web.sock`,
    principals: `${runDir}/p`,
  };
}
