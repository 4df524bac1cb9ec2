import { createServer, type Server } from 'node:http'
import type { TestProject } from 'vitest/node'
import { findServers, type Source, startFrom } from './find-servers.ts'
import { removeServer, sweepLeftovers } from './server-directory.ts'
import { environmentUrl, isServerName, remedy, type ServerName, serverFacts, serverNames } from './server-names.ts'
import { localServers, type StartedServer } from './server-table.ts'

/** What the workers are told: which servers there are, and where to ask for their URL. */
export interface ServersOfRun {
  /** GET `<door>/<name>` starts that server on the first request and answers with its URL. */
  readonly door: string
  readonly available: readonly ServerName[]
  /** Those whose programs are on this machine: a test can have one of its own, kill it and start it again. */
  readonly startable: readonly ServerName[]
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: ServersOfRun
  }
}

/** vitest's globalSetup. Servers start when a test first asks, so that a run of pure tests starts none. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepLeftovers()
  const found = findServers(serverNames)
  report(serverNames.filter((name) => !found.has(name)))
  await prepare(found)
  const servers = createServers(found)
  const door = await openDoor(servers.url)
  project.provide('servers', { door: addressOf(door), available: [...found.keys()], startable: startable(found) })
  return async () => {
    door.close()
    door.closeAllConnections()
    await servers.stop()
  }
}

/** Also beside a server that the environment names there may be the programs for another one. */
function startable(found: ReadonlyMap<ServerName, Source>): ServerName[] {
  return [...found].flatMap(([name, source]) => (source !== 'docker' && localServers[name].isHere() ? [name] : []))
}

function report(missing: readonly ServerName[]): void {
  for (const name of missing) {
    const message = `${serverFacts[name].title} is missing: its tests are skipped. To run them: ${remedy(name)}`
    if (process.env.CI === 'true') throw new Error(message)
    process.stderr.write(`\n  SKIPPED: ${message}\n\n`)
  }
}

/** In CI, where nothing was fetched before, no single test should wait for it; elsewhere a run of pure tests should not. */
async function prepare(found: ReadonlyMap<ServerName, Source>): Promise<void> {
  if (process.env.CI !== 'true') return
  for (const [name, source] of found) if (source === 'machine') await localServers[name].prepare?.()
}

interface Servers {
  url(name: ServerName): Promise<string>
  stop(): Promise<void>
}

function createServers(found: ReadonlyMap<ServerName, Source>): Servers {
  const started = new Map<ServerName, Promise<StartedServer>>()
  return {
    async url(name) {
      const given = environmentUrl(name)
      if (given) return given
      const server = started.get(name) ?? startFrom(found.get(name) === 'docker' ? 'docker' : 'machine', name)
      started.set(name, server)
      return (await server).url
    },
    async stop() {
      const servers = await Promise.allSettled(started.values())
      await Promise.all(
        servers.map((one) => (one.status === 'fulfilled' ? removeServer(one.value.directory) : undefined)),
      )
    },
  }
}

async function openDoor(urlOf: Servers['url']): Promise<Server> {
  const door = createServer((request, response) => {
    const name = request.url?.slice(1) ?? ''
    if (!isServerName(name)) {
      response.writeHead(404).end(`no server is called ${name}`)
      return
    }
    urlOf(name).then(
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
