// A server of a benchmark's own whose store has so many events in its log, written by SQL: quicker than any publisher.
import { openStore, type Store } from '../src/store/connection.ts'
import { acquireLease, type Lease } from '../src/store/lease.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { tick } from '../src/store/sequencer.ts'
import { type PrivateServer, startPrivateServer } from '../test/setup/private-server.ts'

export interface FilledStore {
  readonly server: PrivateServer
  readonly store: Store
  /** Writes so many more, of subjects of their own, for a relay to sequence. */
  write(events: number): Promise<void>
  close(): Promise<void>
}

const atOnce = 100_000
/** A step looks at all that waits: what is sequenced in between is not looked at again. */
const mostWaiting = 1_000_000
const stepSize = 200_000

/** PostgreSQL with fsync; events `bench.happened` of `subjects` subjects, about 300 bytes each, as if they had been appended. */
export async function openFilledStore(
  events: number,
  { subjects = 1_000, onWritten = (_events: number) => {} } = {},
): Promise<FilledStore> {
  const server = await startPrivateServer({
    version: 18,
    durable: true,
    settings: ['max_prepared_transactions=0', 'max_wal_size=4GB', 'shared_buffers=1GB'],
  })
  await migrateUp(server.socketUrl)
  const store = await openStore(server.socketUrl, { applicationName: 'evt bench', max: 12 })
  let written = 0

  async function write(more: number, prefix: string): Promise<void> {
    for (const end = written + more; written < end; ) {
      const count = Math.min(atOnce, end - written)
      await store.query(
        `with written as (
           insert into evt.outbox (id, type, source, subject, sequence, data, correlation_id)
           select 'bench-' || n, 'bench.happened', 'bench', $4 || n % $3, n / $3 + 1,
             json_build_object('n', n / $3 + 1, 'filler', repeat('x', 180)), 'c' || n % 100
           from generate_series($1::int, $2::int) n
           returning subject, sequence, class, day, xid, seq)
         insert into evt.streams select * from written`,
        [written, written + count - 1, subjects, prefix],
      )
      written += count
    }
  }

  for (let left = events; left > 0; left -= mostWaiting) {
    await write(Math.min(left, mostWaiting), 'subject/')
    await sequence(store)
    onWritten(written)
  }
  await store.query('vacuum analyze')
  await store.query('checkpoint')
  return {
    server,
    store,
    write: (more) => write(more, 'later/'),
    async close() {
      await store.close()
      await server.stop()
    },
  }
}

async function sequence(store: Store): Promise<void> {
  await store.query('update evt.relay set leader = null')
  const { epoch } = (await acquireLease(store, 'bench', 3_600_000)) as Lease
  for (;;) {
    const step = await tick(store, epoch, stepSize)
    if (!step.more && step.sequenced === 0) break
  }
  await store.query('update evt.relay set leader = null')
}
