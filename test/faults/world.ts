import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createRandom } from '../../src/core/random.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'
import type { BridgeProcessOptions } from './bridge-process.ts'
import { isComplete, judge, type Verdict } from './ledger.ts'
import { type Running, startProcess } from './processes.ts'
import { createFaultTables } from './schema.ts'
import type { WriterProcessOptions } from './writer-process.ts'

/** Four connections that write as fast as they can, some of it rolled back. */
const brisk: Omit<WriterProcessOptions, 'url' | 'ledgerFile' | 'seed' | 'subjects'> = {
  connections: 4,
  pauseMs: 2,
  openShare: 0.05,
  openMs: 60,
  rollbackShare: 0.1,
  savepointShare: 0.1,
}

/** One scenario's surroundings: a database of its own, writers with a ledger, and bridges to be killed. */
export interface World {
  readonly server: PrivateServer
  readonly broker: PrivateBroker | undefined
  /** The topic that bridges write into it and read from it. */
  readonly topic: string
  readonly random: () => number
  readonly store: Store
  readonly attemptsFile: string
  /** Resolves when it runs. */
  startBridge(instance: string, options?: Partial<BridgeProcessOptions>): Promise<Running>
  /** Loaded, or about to be, and waiting for its `go`: what is killed a moment later needs a second to load. */
  holdBridge(instance: string, options?: Partial<BridgeProcessOptions>): Running
  startWriter(options?: Partial<WriterProcessOptions>): Promise<Running>
  /** Waits until every committed event has all its effects; false when that took too long. */
  complete(withinMs: number): Promise<boolean>
  /** `complete`, then compares the ledger with the effects. */
  settle(withinMs: number): Promise<Verdict>
  /** A random time, so that faults meet the system anywhere. */
  sleep(fromMs: number, toMs: number): Promise<void>
}

export interface WorldOptions {
  readonly server: PrivateServer
  readonly seed: number
  readonly subjects: number
  /** More handlers than those of every bridge, that must have one effect for each committed event. */
  readonly handlers?: readonly string[]
  /** Between the store and the handlers; `World.broker` is for trouble with it. */
  readonly broker?: PrivateBroker
  /** What bridges say to it besides, as `?retain=1g`. */
  readonly sinkQuery?: string
}

/** Of the topic in the broker. */
export const sinkLanes = 6

/** A server that scenarios may kill, and that knows when each transaction was committed. */
export const startFaultServer = (): Promise<PrivateServer> =>
  startPrivateServer({ version: 18, settings: ['track_commit_timestamp=on'] })

/** Runs `scenario` in a new database of `server`; whatever it started is ended, and the database dropped. */
export async function withWorld<T>(options: WorldOptions, scenario: (world: World) => Promise<T>): Promise<T> {
  const { server, seed, subjects, broker, handlers = [] } = options
  const expected = ['faults.ledger', 'faults.flaky', ...handlers]
  const name = `faults_${seed}_${process.pid}_${Math.round(performance.now())}`
  const admin = await openStore(server.url, { applicationName: 'faults admin', max: 1 })
  const url = await createDatabase(server, admin, name)
  const store = await openStore(url, { applicationName: 'faults', max: 4 })
  const directory = mkdtempSync(join(tmpdir(), 'evt-faults-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  // Also when a signal ends this process.
  process.once('exit', remove)
  const processes: Running[] = []
  const ledgerFile = join(directory, 'ledger')
  const attemptsFile = join(directory, 'attempts')
  const keep = (running: Running) => {
    processes.push(running)
    return running
  }
  const holdBridge: World['holdBridge'] = (instance, given = {}) => {
    const shared = { url, instance, attemptsFile, roles: ['relay', 'handlers'], concurrency: 4, dieAt: 0 } as const
    const sink = broker && { sink: { url: broker.url + (options.sinkQuery ?? ''), topic: name, lanes: sinkLanes } }
    return keep(startProcess('bridge-process.ts', [JSON.stringify({ ...shared, ...sink, ...given })]))
  }
  const random = createRandom(seed)
  const complete = (withinMs: number) => whenComplete(() => isComplete(store, ledgerFile, expected), withinMs)
  try {
    await createFaultTables(store, subjects)
    return await scenario({
      server,
      broker,
      topic: name,
      random,
      store,
      attemptsFile,
      holdBridge,
      async startBridge(instance, given) {
        const running = holdBridge(instance, given)
        running.go()
        await running.ready
        return running
      },
      async startWriter(given = {}) {
        const shared = { ...brisk, url, ledgerFile, seed, subjects }
        const running = keep(startProcess('writer-process.ts', [JSON.stringify({ ...shared, ...given })]))
        await running.ready
        return running
      },
      complete,
      async settle(withinMs) {
        await complete(withinMs)
        return judge(store, ledgerFile, expected)
      },
      sleep: (fromMs, toMs) => wait(fromMs + random() * (toMs - fromMs)),
    })
  } finally {
    await Promise.all(processes.map((running) => running.end('SIGKILL')))
    await store.close()
    await admin.query(`drop database if exists ${name} with (force)`).catch(() => {})
    await admin.close()
    process.off('exit', remove)
    remove()
  }
}

const template = 'faults_template'

/** A copy of a migrated one. */
async function createDatabase(server: PrivateServer, admin: Store, name: string): Promise<string> {
  const urlOf = (database: string) => server.url.replace(/\/postgres$/, `/${database}`)
  const { rows } = await admin.query('select from pg_database where datname = $1', [template])
  if (rows.length === 0) {
    await admin.query(`create database ${template}`)
    await migrateUp(urlOf(template))
  }
  await admin.query(`create database ${name} template ${template} strategy file_copy`)
  return urlOf(name)
}

async function whenComplete(isDone: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    if (await isDone()) return true
    await wait(50)
  }
  return false
}
