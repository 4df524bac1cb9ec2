import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createRandom } from '../../src/core/random.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import type { PrivateServer } from '../setup/private-server.ts'
import { isComplete, judge, type Verdict } from './ledger.ts'
import { type Running, startProcess } from './processes.ts'
import { createFaultTables } from './schema.ts'

/** The handlers that must have one effect for each committed event. */
const expected = ['faults.ledger', 'faults.flaky']

/** One scenario's surroundings: a database of its own, writers with a ledger, and bridges to be killed. */
export interface World {
  readonly server: PrivateServer
  readonly random: () => number
  readonly store: Store
  readonly ledgerFile: string
  readonly attemptsFile: string
  startBridge(instance: string, roles?: string): Promise<Running>
  startWriter(options?: { connections?: number; pauseMs?: number }): Promise<Running>
  /** Waits until every committed event has all its effects, then compares the ledger with them. */
  settle(withinMs: number): Promise<Verdict>
  /** A random time, so that faults meet the system anywhere. */
  sleep(fromMs: number, toMs: number): Promise<void>
}

export interface WorldOptions {
  readonly server: PrivateServer
  readonly seed: number
  readonly subjects: number
}

/** Runs `scenario` in a new database of `server`; whatever it started is ended, and the database dropped. */
export async function withWorld<T>(options: WorldOptions, scenario: (world: World) => Promise<T>): Promise<T> {
  const { server, seed, subjects } = options
  const name = `faults_${seed}_${process.pid}_${Math.round(performance.now())}`
  const admin = await openStore(server.url, { applicationName: 'faults admin', max: 1 })
  await admin.query(`create database ${name}`)
  await admin.close()
  const url = server.url.replace(/\/postgres$/, `/${name}`)
  await migrateUp(url)
  const store = await openStore(url, { applicationName: 'faults', max: 4 })
  const directory = mkdtempSync(join(tmpdir(), 'evt-faults-'))
  const processes: Running[] = []
  const start = async (script: string, args: readonly string[]) => {
    const running = startProcess(script, args)
    processes.push(running)
    await running.ready
    return running
  }
  const random = createRandom(seed)
  const ledgerFile = join(directory, 'ledger')
  const attemptsFile = join(directory, 'attempts')
  try {
    await createFaultTables(store, subjects)
    return await scenario({
      server,
      random,
      store,
      ledgerFile,
      attemptsFile,
      startBridge: (instance, roles = 'relay,handlers') =>
        start('bridge-process.ts', [url, instance, roles, attemptsFile]),
      startWriter: ({ connections = 4, pauseMs = 2 } = {}) =>
        start('writer-process.ts', [
          url,
          ledgerFile,
          String(seed),
          String(subjects),
          String(connections),
          String(pauseMs),
        ]),
      settle: (withinMs) => settle(store, ledgerFile, withinMs),
      sleep: (fromMs, toMs) => wait(fromMs + random() * (toMs - fromMs)),
    })
  } finally {
    for (const running of processes) await running.end('SIGCONT').then(() => running.end('SIGKILL'))
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function settle(store: Store, ledgerFile: string, withinMs: number): Promise<Verdict> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    if (await isComplete(store, ledgerFile, expected)) break
    await wait(100)
  }
  return judge(store, ledgerFile, expected)
}
