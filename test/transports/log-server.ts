import { setTimeout as delay } from 'node:timers/promises'
import { openStore, type Store } from '../../src/store/connection.ts'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { tick } from '../../src/store/sequencer.ts'
import type { PostgresVersion } from '../setup/postgres-binaries.ts'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'

/** A server of its own with evt's schema, and something that sequences, also after restarts. */
export interface LogServer {
  readonly server: PrivateServer
  readonly store: Store
  /** Resolves when everything committed so far is in the log. */
  sequenced(): Promise<void>
  /** Ends every connection of evt's transports. */
  disconnect(): Promise<void>
  stop(): Promise<void>
}

export async function startLogServer(version: PostgresVersion): Promise<LogServer> {
  const server = await startPrivateServer({ version })
  const store = await openStore(server.url, { applicationName: 'evt test', max: 4 })
  await migrateUp(store)
  const stopping = new AbortController()
  const running = sequence(store, stopping.signal)
  return {
    server,
    store,
    async sequenced() {
      for (;;) {
        const { rows } = await store.query('select events from evt.unsequenced(1)')
        if (Number(rows[0]?.events) === 0) return
        await delay(2)
      }
    },
    async disconnect() {
      await store.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'evt %' and application_name <> 'evt test'`,
      )
    },
    async stop() {
      stopping.abort()
      await running
      await store.close()
      await server.stop()
    },
  }
}

async function sequence(store: Store, signal: AbortSignal): Promise<void> {
  let lease: Lease | undefined
  while (!signal.aborted) {
    try {
      lease ??= await acquireLease(store, 'test', 3_600_000)
      // The lease outlives a restart of the server, and with it the epoch.
      if (lease === undefined || !(await tick(store, lease.epoch, 1_000)).more) await delay(2)
    } catch {
      await delay(20)
    }
  }
}
