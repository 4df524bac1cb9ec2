import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRunning, startOf } from './process.ts'

// One file for each use of the server, `<pid>.<n>`, that holds when its process started: ids are used again.

/** Whoever has a server running registers; the last one to leave stops it. All of this inside the lock of the home. */
export interface User {
  leave(): void
}

let uses = 0

/** `directory` is made when it is not there. */
export function enterUser(directory: string): User {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  uses += 1
  const file = join(directory, `${process.pid}.${uses}`)
  writeFileSync(file, startOf(process.pid) ?? '', { mode: 0o600 })
  return { leave: () => rmSync(file, { force: true }) }
}

/** Whether somebody who lives still uses the server. Forgets those who were killed. */
export function hasUsers(directory: string): boolean {
  const files = filesIn(directory)
  const alive = files.filter((file) => lives(join(directory, file), Number.parseInt(file, 10)))
  for (const file of files) if (!alive.includes(file)) rmSync(join(directory, file), { force: true })
  return alive.length > 0
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    // Nobody ever used it.
    return []
  }
}

function lives(file: string, pid: number): boolean {
  if (!isRunning(pid)) return false
  try {
    const [then, now] = [readFileSync(file, 'utf8'), startOf(pid) ?? '']
    return then === now || then === '' || now === ''
  } catch {
    // It left while we looked.
    return false
  }
}
