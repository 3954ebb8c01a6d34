// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { limitFiles, limitReached, limitsOf, parseUsage } from "./limits.ts";

const allowed = { memory_limit_mb: 4096, pids_limit: 512 };

Deno.test("limitsOf() takes the operator's ceiling where a template asks for nothing", () => {
  assert.deepEqual(limitsOf({}, allowed), {
    memoryBytes: 4096 * 1024 * 1024,
    swapBytes: 0,
    pids: 528,
    cpuWeight: 100,
    ioBytes: null,
    cpuQuotaPercent: null,
    ioWeight: null,
  });
  const asked = limitsOf(
    { memory_limit_mb: 64, pids_limit: 20, cpu_shares: 512, io_weight: 50, memory_swap_mb: 8 },
    { ...allowed, cpu_quota_percent: 150 },
  );
  assert.deepEqual(asked, {
    memoryBytes: 64 * 1024 * 1024,
    swapBytes: 8 * 1024 * 1024,
    pids: 36,
    cpuWeight: 50,
    cpuQuotaPercent: 150,
    ioWeight: 50,
    ioBytes: null,
  });
});

Deno.test("limitFiles() says the same thing in both versions' words", () => {
  const limits = limitsOf({
    memory_limit_mb: 1,
    pids_limit: 4,
    cpu_weight: 200,
    cpu_quota_percent: 50,
    io_weight: 2000,
    io_mb_per_second: 3,
  }, allowed);
  const words = (version: 1 | 2) =>
    limitFiles(version, limits).map((one) => `${one.controller} ${one.file} ${one.value}`);
  assert.deepEqual(words(1), [
    "memory memory.limit_in_bytes 1048576",
    "memory memory.memsw.limit_in_bytes 1048576",
    "memory memory.swappiness 0",
    "pids pids.max 20",
    "cpu cpu.shares 2048",
    "cpu cpu.cfs_period_us 100000",
    "cpu cpu.cfs_quota_us 50000",
    "blkio blkio.bfq.weight 1000",
    "blkio blkio.throttle.read_bps_device DISK 3145728",
    "blkio blkio.throttle.write_bps_device DISK 3145728",
  ]);
  assert.deepEqual(words(2), [
    "memory memory.max 1048576",
    "memory memory.swap.max 0",
    "pids pids.max 20",
    "cpu cpu.weight 200",
    "cpu cpu.max 50000 100000",
    "io io.weight default 2000",
    "io io.max DISK rbps=3145728 wbps=3145728",
  ]);
});

Deno.test("parseUsage() reads both versions, and unlimited as null", () => {
  const first = parseUsage(`memory.usage_in_bytes 1048576
memory.max_usage_in_bytes 2097152
memory.limit_in_bytes 9223372036854771712
memory.oom_control oom_kill_disable 0
memory.oom_control under_oom 0
memory.oom_control oom_kill 2
pids.current 3
pids.max max
pids.events max 7
cpuacct.usage 5000000
cpu.stat nr_periods 9
cpu.stat nr_throttled 4
freezer.state FREEZING
`);
  assert.deepEqual(first, {
    memory_bytes: 1048576,
    memory_peak_bytes: 2097152,
    memory_limit_bytes: null,
    oom_kills: 2,
    pids: 3,
    pids_limit: null,
    pids_refused: 7,
    cpu_ms: 5,
    cpu_throttled: 4,
    frozen: true,
  });
  const second = parseUsage(`memory.current 10
memory.max 67108864
memory.events oom 3
memory.events oom_kill 1
pids.max 20
cpu.stat usage_usec 7000
cgroup.events populated 1
cgroup.events frozen 0
`);
  assert.equal(second.memory_limit_bytes, 67108864);
  assert.equal(second.oom_kills, 1);
  assert.equal(second.cpu_ms, 7);
  assert.equal(second.frozen, false);
  assert.equal(second.pids, null);
  assert.equal(limitReached(second, 137), "killed: memory limit 64 MiB");
  assert.equal(limitReached(second, 0), null);
  assert.equal(
    limitReached({ ...second, oom_kills: 0, pids_refused: 1 }, 1),
    "process limit 20 was reached",
  );
});
