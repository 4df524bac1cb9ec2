// Servers for work at the desk: `npm run services -- up|down|status`. The same private servers that the tests start, kept
// running until `down`. Tests and commands use them through the variables that `up` prints.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv, exit, stderr, stdout } from 'node:process'
import { readPostmaster, stopCluster } from '../src/store/embedded/cluster.ts'
import { findPostgres, type PostgresVersion, postgresVersions, remedies } from '../test/setup/postgres-binaries.ts'
import { type PlacedServer, startKeptServer } from '../test/setup/private-server.ts'

const home = join(dirname(import.meta.dirname), '.cache', 'services')

interface Service {
  readonly version: PostgresVersion
  readonly url: string
  readonly dataDirectory: string
}

const stateFile = (version: PostgresVersion): string => join(home, `postgres-${version}.json`)

function running(version: PostgresVersion): (Service & { readonly pid: number }) | undefined {
  if (!existsSync(stateFile(version))) return undefined
  const service = JSON.parse(readFileSync(stateFile(version), 'utf8')) as Service
  const postmaster = readPostmaster(service.dataDirectory)
  return postmaster && { ...service, pid: postmaster.pid }
}

async function up(): Promise<number> {
  mkdirSync(home, { recursive: true })
  let missing = 0
  for (const version of postgresVersions) {
    const known = running(version)
    if (!known && !findPostgres(version)) {
      stderr.write(`PostgreSQL ${version} is missing; to have it: ${remedies[version]}\n`)
      missing += 1
      continue
    }
    const server = known ?? remember(version, await startKeptServer({ version }))
    stdout.write(`export EVT_TEST_PG${version}_URL=${server.url}\n`)
  }
  return missing ? 1 : 0
}

function remember(version: PostgresVersion, { url, dataDirectory }: PlacedServer): Service {
  const service = { version, url, dataDirectory }
  writeFileSync(stateFile(version), `${JSON.stringify(service)}\n`, { mode: 0o600 })
  return service
}

async function down(): Promise<number> {
  for (const version of postgresVersions) {
    const server = running(version)
    if (server) {
      await stopCluster(server.pid)
      rmSync(dirname(server.dataDirectory), { recursive: true, force: true })
    }
    rmSync(stateFile(version), { force: true })
  }
  return status()
}

function status(): number {
  for (const version of postgresVersions) {
    const server = running(version)
    stdout.write(`PostgreSQL ${version}: ${server ? `${server.url} (process ${server.pid})` : 'not running'}\n`)
  }
  return 0
}

const verbs: Readonly<Record<string, () => number | Promise<number>>> = { up, down, status }
const verb = verbs[argv[2] ?? 'status']
if (!verb) {
  stderr.write('usage: npm run services -- up|down|status\n')
  exit(2)
}
exit(await verb())
