import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'

/** What the machine did to everybody on it, cumulative; undefined where the system does not say. */
export interface MachineReading {
  readonly throttledPeriods: number | undefined
  /** Ticks taken by other guests of the host, and all ticks. */
  readonly steal: { readonly stolen: number; readonly all: number } | undefined
}

export interface Machine {
  readonly cpu: string
  /** What this process may use: the container's quota counts, not what the host has. */
  readonly usableCores: number
  readonly memoryBytes: number
}

export async function readMachine(): Promise<Machine> {
  const quota = await readQuota()
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    usableCores: Math.min(availableParallelism(), quota ?? Infinity),
    memoryBytes: totalmem(),
  }
}

export async function readMachineLoad(): Promise<MachineReading> {
  const [stat, cgroup] = await Promise.all([textOf('/proc/stat'), textOf('/sys/fs/cgroup/cpu.stat')])
  const throttled = /^nr_throttled (\d+)$/m.exec(cgroup ?? '')?.[1]
  return {
    throttledPeriods: throttled === undefined ? undefined : Number(throttled),
    steal: stat === undefined ? undefined : parseSteal(stat),
  }
}

/** Between two readings: whether a quota cut us off, and the share of time that other guests took. */
export function machineChange(before: MachineReading, after: MachineReading) {
  const ticks = (after.steal?.all ?? 0) - (before.steal?.all ?? 0)
  const stolen = (after.steal?.stolen ?? 0) - (before.steal?.stolen ?? 0)
  return {
    throttledPeriods: (after.throttledPeriods ?? 0) - (before.throttledPeriods ?? 0),
    stealShare: ticks > 0 ? stolen / ticks : 0,
  }
}

// /proc/stat: `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is part of user.
export function parseSteal(stat: string): MachineReading['steal'] {
  const numbers = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').slice(0, 8).map(Number)
  if (!numbers || numbers.length < 8) return undefined
  return { stolen: numbers[7] ?? 0, all: numbers.reduce((sum, ticks) => sum + ticks, 0) }
}

// cgroup 2, cpu.max: `200000 100000` is two cores, `max 100000` no limit.
async function readQuota(): Promise<number | undefined> {
  const [, quota, period] = /^(\d+) (\d+)/.exec((await textOf('/sys/fs/cgroup/cpu.max')) ?? '') ?? []
  return quota && period ? Number(quota) / Number(period) : undefined
}

/** Undefined where the file does not exist: not Linux, or not in a container. */
const textOf = (path: string) => readFile(path, 'utf8').catch(() => undefined)
