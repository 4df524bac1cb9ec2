import { readFileSync } from 'node:fs'

/** Whether a process of this id runs. A zombie, which a container without an init keeps for ever, does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return stateOf(pid) !== 'Z'
}

function stateOf(pid: number): string | undefined {
  return statOf(pid)[0]
}

/** When it started, in ticks since the machine did; undefined where /proc does not say. Tells it from a later one of its id. */
export function startOf(pid: number): string | undefined {
  return statOf(pid)[19]
}

/** Linux only: the fields after the command in /proc, the state first; elsewhere none. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

/**
 * Whether `pid` is the postmaster of this data directory. Where the command line cannot be read it is believed: PostgreSQL
 * itself refuses to start twice on one directory.
 */
export function isPostmaster(pid: number, dataDirectory: string): boolean {
  if (!isRunning(pid)) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dataDirectory)
  } catch {
    return true
  }
}

/** The processes that `pid` has started and that still run; none where /proc does not say. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Resolves to true once `condition` holds, to false when it did not within the time. Polls every 10 ms. */
export async function eventually(condition: () => boolean, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}
