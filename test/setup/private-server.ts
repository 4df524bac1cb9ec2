import { rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ClusterOptions,
  freePort,
  initCluster,
  type Postmaster,
  startCluster,
  stopCluster,
  urlOfPostmaster,
} from '../../src/store/embedded/cluster.ts'
import { childrenOf, eventually, isRunning } from '../../src/store/embedded/process.ts'
import { reachableBinaries } from '../../src/store/embedded/reach.ts'
import { chooseRunAs } from '../../src/store/embedded/run-as.ts'
import { findPostgres, type PostgresVersion } from './postgres-binaries.ts'
import { makeServerDirectory } from './server-directory.ts'
import { remedy } from './server-names.ts'

export interface PrivateServerOptions {
  readonly version: PostgresVersion
  /** Survives a crash of the operating system too; off by default, because kill -9 does not need it. */
  readonly durable?: boolean
  /** More lines of postgresql.conf, `name=value`. */
  readonly settings?: readonly string[]
  /** As a directory's. */
  readonly owner?: string
}

export interface PrivateServer {
  /** Over the loopback. */
  readonly url: string
  /** Over the local socket, as the embedded server of a project is reached. */
  readonly socketUrl: string
  readonly port: number
  /** Holds data and log. */
  readonly directory: string
  readonly version: PostgresVersion
  /** The postmaster; changes with `restart`. */
  readonly pid: number
  /** Sends the signal to the postmaster and waits until it and its backends are gone (SIGSTOP and SIGCONT: returns at once). */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again on the same port and data, after `kill` or instead of it. */
  restart(): Promise<void>
  /** Stops it and removes its data. Idempotent. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const fast = ['fsync=off', 'full_page_writes=off']
const always = ['max_connections=200', 'checkpoint_timeout=1h', 'max_prepared_transactions=20', 'shared_buffers=64MB']

/** A server of this test alone, on a free port: it may be killed and restarted. The caller stops it. */
export async function startPrivateServer(options: PrivateServerOptions): Promise<PrivateServer> {
  const source = findPostgres(options.version)
  if (!source) throw new Error(`PostgreSQL ${options.version} is not here: ${remedy(`postgres-${options.version}`)}`)
  const runAs = await chooseRunAs()
  const directory = makeServerDirectory(options)
  const cluster: ClusterOptions = {
    binaries: await reachableBinaries(source.binaries, runAs),
    dataDirectory: join(directory, 'data'),
    logFile: join(directory, 'log'),
    runAs,
    settings: [...always, ...(options.durable ? [] : fast), ...(options.settings ?? [])],
  }
  await initCluster(cluster, 'evt', ['--no-sync', ...source.initArgs])
  return control(options.version, directory, cluster)
}

async function control(version: PostgresVersion, directory: string, cluster: ClusterOptions): Promise<PrivateServer> {
  let running: Postmaster = await startAnywhere(cluster)
  const port = running.port
  const stop = async (): Promise<void> => {
    await stopCluster(running.pid)
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    url: `postgres://postgres:evt@127.0.0.1:${port}/postgres`,
    get socketUrl() {
      return urlOfPostmaster(running, { password: 'evt', database: 'postgres' })
    },
    port,
    version,
    directory,
    get pid() {
      return running.pid
    },
    async kill(signal) {
      const all = [running.pid, ...childrenOf(running.pid)]
      process.kill(running.pid, signal)
      if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
      if (!(await eventually(() => !all.some(isRunning), 20_000))) throw new Error(`PostgreSQL survived ${signal}`)
    },
    async restart() {
      await stopCluster(running.pid)
      running = await startCluster(cluster, port)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Between finding a free port and listening on it, somebody else may have taken it. */
async function startAnywhere(cluster: ClusterOptions): Promise<Postmaster> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startCluster(cluster, await freePort())
    } catch (error) {
      if (attempt === 5) throw error
    }
  }
}
