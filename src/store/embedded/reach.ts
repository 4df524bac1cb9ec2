import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EvtError, toError } from '../../core/errors.ts'
import type { Binaries } from './cluster.ts'
import type { RunAs } from './run-as.ts'

const run = promisify(execFile)

/** Where root keeps what the server's user has to reach, when the project lies in a directory that only root may enter. */
export const systemDirectory = '/var/lib/evt'

/** Whether the server's user can enter this directory. */
export async function canReach(directory: string, runAs: RunAs): Promise<boolean> {
  if (!runAs) return true
  return run('test', ['-x', directory], { ...runAs, cwd: '/' }).then(
    () => true,
    () => false,
  )
}

/** The binaries where the server's user can run them: as they are, or a copy of the package's tree (80 MB, once a version). */
export async function reachableBinaries(binaries: Binaries, runAs: RunAs, to = systemDirectory): Promise<Binaries> {
  const bin = dirname(binaries.postgres)
  if (await canReach(bin, runAs)) return binaries
  const version = (await run(binaries.postgres, ['--version'])).stdout.replace(/[^0-9.]+/g, '')
  const copy = join(to, `postgresql-${version}`)
  if (!existsSync(copy)) await copyTree(dirname(bin), copy)
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') }
}

async function copyTree(from: string, to: string): Promise<void> {
  const unfinished = `${to}.${process.pid}`
  try {
    await makeSystemDirectory(dirname(to))
    await cp(from, unfinished, { recursive: true, verbatimSymlinks: true })
    await chmod(unfinished, 0o755)
    await rename(unfinished, to)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    // Another evt finished the same copy first.
    if (existsSync(to)) return
    throw new EvtError('config', `cannot copy PostgreSQL to ${to}: ${toError(error).message}`, {
      hint: 'run evt as a normal user, or move the checkout to a directory that other users may enter (chmod o+x)',
      cause: error,
    })
  }
}

export async function makeSystemDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  await chmod(directory, 0o755)
}
