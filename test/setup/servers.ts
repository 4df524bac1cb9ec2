import { createServer, type Server } from 'node:http'
import type { TestProject } from 'vitest/node'
import { environmentUrl, findPostgres, type PostgresVersion, postgresVersions, remedies } from './postgres-binaries.ts'
import { type PrivateServer, startPrivateServer } from './private-server.ts'
import { sweepLeftovers } from './server-directory.ts'

/** What the workers are told: which servers there are, and where to ask for their URL. */
export interface PostgresServers {
  /** GET `<door>/<version>` starts that server on the first request and answers with its URL. */
  readonly door: string
  readonly available: readonly PostgresVersion[]
}

declare module 'vitest' {
  interface ProvidedContext {
    postgres: PostgresServers
  }
}

/** vitest's globalSetup. Servers start when a test first asks, so that a run of pure tests starts none. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepLeftovers()
  const available = postgresVersions.filter((version) => environmentUrl(version) ?? findPostgres(version))
  report(postgresVersions.filter((version) => !available.includes(version)))
  const servers = createServers()
  const door = await openDoor(servers.url)
  project.provide('postgres', { door: addressOf(door), available })
  return async () => {
    door.close()
    door.closeAllConnections()
    await servers.stop()
  }
}

function report(missing: readonly PostgresVersion[]): void {
  for (const version of missing) {
    const message = `PostgreSQL ${version} is missing: its tests are skipped. To run them: ${remedies[version]}`
    if (process.env.CI === 'true') throw new Error(message)
    process.stderr.write(`\n  SKIPPED: ${message}\n\n`)
  }
}

interface Servers {
  url(version: PostgresVersion): Promise<string>
  stop(): Promise<void>
}

function createServers(): Servers {
  const started = new Map<PostgresVersion, Promise<PrivateServer>>()
  return {
    async url(version) {
      const given = environmentUrl(version)
      if (given) return given
      const server = started.get(version) ?? startPrivateServer({ version })
      started.set(version, server)
      return (await server).url
    },
    async stop() {
      const servers = await Promise.allSettled(started.values())
      await Promise.all(servers.map((server) => (server.status === 'fulfilled' ? server.value.stop() : undefined)))
    },
  }
}

async function openDoor(urlOf: Servers['url']): Promise<Server> {
  const door = createServer((request, response) => {
    const version = postgresVersions.find((known) => request.url === `/${known}`)
    if (!version) {
      response.writeHead(404).end()
      return
    }
    urlOf(version).then(
      (url) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  return door
}

function addressOf(door: Server): string {
  const address = door.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}
