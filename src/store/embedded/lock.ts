import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { EvtError } from '../../core/errors.ts'
import { isRunning } from './process.ts'

/**
 * Runs `work` while no other process of this machine is inside on the same file. What a killed process left is recognised by
 * its id. Throws `timeout` when it was not free in time.
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>, withinMs = 60_000): Promise<T> {
  const deadline = performance.now() + withinMs
  while (!tryLock(path)) {
    if (performance.now() > deadline) {
      throw new EvtError('timeout', `cannot start PostgreSQL: process ${holderOf(path)} is still starting it`, {
        hint: `if no evt runs, remove ${path}`,
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/** Whether a process that lives is inside. */
export function isLocked(path: string): boolean {
  const holder = holderOf(path)
  return holder !== 0 && isRunning(holder)
}

function tryLock(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, String(process.pid))
    closeSync(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const holder = holderOf(path)
    if (holder && !isRunning(holder)) rmSync(path, { force: true })
    return false
  }
}

/** 0 while the holder has made the file and not yet written its id. */
function holderOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    // Released between our attempt and this look.
    return 0
  }
}
