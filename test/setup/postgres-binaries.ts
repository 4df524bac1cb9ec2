import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { embeddedBinaries, embeddedInitArgs } from '../../src/store/embedded/binaries.ts'
import type { Binaries } from '../../src/store/embedded/cluster.ts'

export const postgresVersions = [18, 15] as const
export type PostgresVersion = (typeof postgresVersions)[number]

export interface PostgresSource {
  readonly binaries: Binaries
  readonly initArgs: readonly string[]
}

const debian = '/usr/lib/postgresql/15/bin'

/** Where this version's programs are on this machine; undefined when they are nowhere. */
export function findPostgres(version: PostgresVersion): PostgresSource | undefined {
  if (version === 15) return findDebian()
  try {
    return { binaries: embeddedBinaries(), initArgs: embeddedInitArgs }
  } catch {
    // An optional dependency that is not there: reported by the caller as missing, with its remedy.
    return undefined
  }
}

function findDebian(): PostgresSource | undefined {
  if (!existsSync(join(debian, 'postgres'))) return undefined
  return {
    binaries: { initdb: join(debian, 'initdb'), postgres: join(debian, 'postgres') },
    initArgs: ['--locale=C.UTF-8'],
  }
}
