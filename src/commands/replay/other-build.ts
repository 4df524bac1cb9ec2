import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { env, execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EvtError, toError } from '../../core/errors.ts'
import type { ShadowedEvent } from '../../replay/shadow.ts'

const run = promisify(execFile)
const most = 512 * 1024 * 1024

export interface OtherBuild {
  /** A commit, a branch or a tag of the project's repository. */
  readonly ref: string
  readonly cwd: string
  readonly store: string
  /** The command that gives the same history to the handlers of that build. */
  readonly words: readonly string[]
  readonly signal: AbortSignal
}

/** Checks the ref out beside, runs it there in a process of its own, and removes it. Throws EvtError('usage') for a ref that is none. */
export async function shadowOtherBuild(build: OtherBuild): Promise<readonly ShadowedEvent[]> {
  const { ref, cwd, signal } = build
  const top = (await git(cwd, ref, 'rev-parse', '--show-toplevel')).trim()
  const folder = join(await mkdtemp(join(tmpdir(), 'evt-against-')), 'tree')
  try {
    await git(top, ref, 'worktree', 'add', '--detach', folder, ref)
    // Dependencies are those of today: what differs is the code.
    if (existsSync(join(top, 'node_modules')) && !existsSync(join(folder, 'node_modules')))
      await symlink(join(top, 'node_modules'), join(folder, 'node_modules'))
    return await shadowIn(join(folder, relative(top, cwd)), build, signal)
  } finally {
    await git(top, ref, 'worktree', 'remove', '--force', folder).catch(() => {})
    await rm(join(folder, '..'), { recursive: true, force: true })
  }
}

async function git(cwd: string, ref: string, ...words: readonly string[]): Promise<string> {
  try {
    return (await run('git', ['-C', cwd, ...words])).stdout
  } catch (error) {
    const said = (error as { readonly stderr?: string }).stderr?.trim().split('\n').at(-1)
    throw new EvtError('usage', `cannot compare with ${ref}: ${said || toError(error).message}`, {
      hint: 'run it in the git repository of the project, with a commit, a branch or a tag of it',
    })
  }
}

async function shadowIn(cwd: string, { ref, store, words }: OtherBuild, signal: AbortSignal) {
  const main = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../../main.ts' : '../../main.js', import.meta.url),
  )
  try {
    const { stdout } = await run(execPath, [main, ...words], {
      cwd,
      env: { ...env, EVT_STORE: store },
      maxBuffer: most,
      signal,
    })
    return eventsIn(stdout)
  } catch (error) {
    // Exit 1 says that handlers failed or reached outside: that is compared too.
    const { stdout, stderr, code } = error as { stdout?: string; stderr?: string; code?: unknown }
    if (code === 1 && stdout) return eventsIn(stdout)
    throw new EvtError('refused', `cannot run the handlers of ${ref}: ${stderr?.trim() || toError(error).message}`, {
      cause: error,
    })
  }
}

const eventsIn = (stdout: string): readonly ShadowedEvent[] => JSON.parse(stdout).data.events
