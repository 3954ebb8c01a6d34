// SPDX-License-Identifier: Apache-2.0
import { defineProbe } from "./probe.ts";

export const probe = defineProbe({
  id: "devices",
  title: "reach a device of the machine",
  defence: "a /dev of its own with a handful of nodes",
  language: "sh",
  script: String.raw`
for node in /dev/*; do
  case "$node" in
    /dev/null|/dev/zero|/dev/full|/dev/random|/dev/urandom|/dev/tty|/dev/console|/dev/ptmx|/dev/pts) ;;
    /dev/shm|/dev/mqueue|/dev/fd|/dev/stdin|/dev/stdout|/dev/stderr|/dev/core) ;;
    /dev/dri|/dev/kvm|/dev/nvidia*) ;;
    *) breached "$node is there" ;;
  esac
done
held "only harmless ones, and what a template may name"
`,
  control: { without: ["own-dev"] },
});
