import { dockerRuns, startComposed } from './composed-server.ts'
import { installPackages } from './install-packages.ts'
import { environmentUrl, type ServerName, serverFacts } from './server-names.ts'
import { localServers, type StartedServer } from './server-table.ts'

/** Where a server comes from: a running one that the environment names, the machine's own programs, or Docker. */
export type Source = 'environment' | StartSource
export type StartSource = 'machine' | 'docker'

/** What there is, tried in the order of `Source`; on a machine of CI missing packages are installed before Docker is asked. */
export function findServers(names: readonly ServerName[]): ReadonlyMap<ServerName, Source> {
  const given = names.filter(environmentUrl)
  const startable = findStartable(names.filter((name) => !given.includes(name)))
  return new Map<ServerName, Source>([...given.map((name) => [name, 'environment'] as const), ...startable])
}

/** As `findServers`, without those that run already. */
export function findStartable(names: readonly ServerName[]): ReadonlyMap<ServerName, StartSource> {
  const known = new Map<ServerName, StartSource>()
  const missing = () => names.filter((name) => !known.has(name))
  const look = (source: StartSource, isThere: (name: ServerName) => boolean): void => {
    for (const name of missing()) if (isThere(name)) known.set(name, source)
  }
  look('machine', (name) => localServers[name].isHere())
  installPackages(missing().flatMap((name) => serverFacts[name].apt ?? []))
  look('machine', (name) => localServers[name].isHere())
  if (missing().some(inCompose) && dockerRuns()) look('docker', inCompose)
  return known
}

function inCompose(name: ServerName): boolean {
  return serverFacts[name].compose !== undefined
}

/** Starts one of the machine or of Docker; `owner` as a server directory's. */
export function startFrom(
  source: StartSource,
  name: ServerName,
  options: { readonly owner?: string } = {},
): Promise<StartedServer> {
  return source === 'docker' ? startComposed(name, options) : localServers[name].start(options)
}
