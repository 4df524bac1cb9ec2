import type pg from 'pg'
import { createRandom } from '../../src/core/random.ts'
import type { Store } from '../../src/store/connection.ts'
import { tick } from '../../src/store/sequencer.ts'

/** Inserts as any SQL client would: id `<subject>#<n>`, in the caller's transaction. */
export async function insertEvent(
  client: Pick<pg.ClientBase, 'query'>,
  subject: string,
  n: number,
  more = {},
): Promise<void> {
  const columns = { id: `${subject}#${n}`, type: 'thing.happened', source: 'test', subject, data: '{"n":1}', ...more }
  const names = Object.keys(columns)
  await client.query(
    `insert into evt.outbox (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
    Object.values(columns),
  )
}

export interface LogRow {
  readonly position: number
  readonly seq: number
  readonly id: string
  readonly subject: string | null
  readonly slot: number
}

export async function readLog(store: Store): Promise<readonly LogRow[]> {
  const { rows } = await store.query(
    `select l.position::int, l.seq::int, l.slot, o.id, o.subject from evt.log l
     join evt.outbox o using (class, day, xid, seq) order by l.position`,
  )
  return rows as unknown as readonly LogRow[]
}

/** Steps until there is nothing left that is visible now; returns how many were sequenced. */
export async function sequenceAll(store: Store, epoch: bigint, limit = 100): Promise<number> {
  let sequenced = 0
  for (;;) {
    const step = await tick(store, epoch, limit)
    sequenced += step.sequenced
    if (!step.more && step.sequenced === 0) return sequenced
  }
}

export interface Ledger {
  /** Ids of committed transactions, each subject's in the order of its commits. */
  readonly committed: Map<string, string[]>
  readonly rolledBack: Set<string>
}

/**
 * Writers that serialise on their subject's row: random pauses inside transactions, a fifth rolled back, savepoints of
 * which half are rolled back. What was committed is written down outside of the database.
 */
export async function runWriters(
  store: Store,
  options: { writers: number; rounds: number; seed: number },
): Promise<Ledger> {
  const ledger: Ledger = { committed: new Map(), rolledBack: new Set() }
  await store.query('create table subjects (name text primary key, n int not null)')
  await store.query(`insert into subjects select 's/' || g, 0 from generate_series(1, 6) g`)
  const one = async (writer: number): Promise<void> => {
    const random = createRandom(options.seed * 100 + writer)
    const client = await store.pool.connect()
    try {
      for (let round = 0; round < options.rounds; round += 1) await writeOnce(client, random, ledger)
    } finally {
      client.release()
    }
  }
  await Promise.all(Array.from({ length: options.writers }, (_, writer) => one(writer)))
  return ledger
}

async function writeOnce(client: pg.PoolClient, random: () => number, ledger: Ledger): Promise<void> {
  const subject = `s/${1 + Math.floor(random() * 6)}`
  await client.query('begin')
  // An early transaction number, a late place: the order of numbers is not the order of causes.
  if (random() < 0.3) await client.query(`select pg_current_xact_id(), pg_sleep($1)`, [random() * 0.01])
  const { rows } = await client.query('update subjects set n = n + 1 where name = $1 returning n', [subject])
  const n = rows[0].n as number
  const ids = [`${subject}#${n}`]
  await insertEvent(client, subject, n)
  if (random() < 0.3) {
    const keep = random() < 0.5
    await client.query('savepoint part')
    await insertEvent(client, subject, n, { id: `${subject}#${n}.5` })
    await client.query(keep ? 'release part' : 'rollback to part')
    if (keep) ids.push(`${subject}#${n}.5`)
    else ledger.rolledBack.add(`${subject}#${n}.5`)
  }
  if (random() < 0.3) await client.query('select pg_sleep($1)', [random() * 0.02])
  if (random() < 0.2) {
    await client.query('rollback')
    return
  }
  // Under the row's lock: the next writer of this subject can only commit later.
  const list = ledger.committed.get(subject) ?? []
  ledger.committed.set(subject, list)
  list.push(...ids)
  await client.query('commit')
}
