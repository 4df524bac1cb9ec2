import { execFile, execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { freeServerPorts } from './ports.ts'
import { composeFile, makeServerDirectory, removeServer } from './server-directory.ts'
import { type ServerName, serverFacts } from './server-names.ts'
import type { StartedServer } from './server-table.ts'

const file = join(import.meta.dirname, '..', '..', 'compose.yaml')
const run = promisify(execFile)

/** Whether Docker's daemon answers here, and has the `compose` command. */
export function dockerRuns(): boolean {
  return asks('docker', ['info']) && asks('docker', ['compose', 'version'])
}

function asks(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 5_000 })
    return true
  } catch {
    return false
  }
}

/** A container of its own, on a free loopback port, in a Compose project that has the name of its server directory. */
export async function startComposed(name: ServerName, options: { readonly owner?: string }): Promise<StartedServer> {
  const { compose, title } = serverFacts[name]
  if (!compose) throw new Error(`${title} has no service in compose.yaml`)
  const [port = 0] = await freeServerPorts(1)
  const directory = makeServerDirectory(options)
  const project = `evt-test-${basename(directory).toLowerCase()}`
  // Noted before it starts, so that a sweep finds it whatever happens.
  writeFileSync(join(directory, composeFile), project)
  // A second copy of RabbitMQ's page must not fight for the port of the first.
  const env = { ...process.env, EVT_RABBITMQ_UI_PORT: '0', [compose.port]: String(port) }
  const args = ['compose', '-f', file, '-p', project, 'up', '-d', '--wait', compose.service]
  try {
    await run('docker', args, { env, timeout: 300_000 })
  } catch (error) {
    await removeServer(directory)
    throw error
  }
  return { url: urls[compose.service]?.(port) ?? '', directory }
}

const urls: Readonly<Record<string, (port: number) => string>> = {
  postgres: (port) => `postgres://postgres:evt@127.0.0.1:${port}/postgres`,
  redis: (port) => `redis://127.0.0.1:${port}`,
  rabbitmq: (port) => `amqp://guest:guest@127.0.0.1:${port}`,
  kafka: (port) => `kafka://127.0.0.1:${port}`,
}
