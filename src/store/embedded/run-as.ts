import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The user that PostgreSQL's processes run as; undefined is the user of this process. */
export type RunAs = { readonly uid: number; readonly gid: number } | undefined

const run = promisify(execFile)

/** PostgreSQL refuses to run as root. Nothing is created on the system: these accounts exist wherever evt runs as root. */
const accounts = ['postgres', 'nobody'] as const

/** Whom PostgreSQL shall run as: this process's user, or an unprivileged account when this process is root. */
export async function chooseRunAs(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return undefined
  for (const account of accounts) {
    const found = await lookUp(account)
    if (found) return found
  }
  return { uid: 65_534, gid: 65_534 }
}

async function lookUp(account: string): Promise<RunAs> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', account]), run('id', ['-g', account])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    // No such account: the next one is tried.
    return undefined
  }
}
