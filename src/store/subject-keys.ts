import { randomBytes, randomUUID } from 'node:crypto'
import { EvtError } from '../core/errors.ts'
import type { MasterKeys } from '../core/master-keys.ts'
import type { KeyOwner, Keyring } from '../core/protection.ts'
import { type SealingKey, sealBytes, unsealBytes } from '../core/sealing.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

/** How long a process goes on with a key that another one has deleted. */
const freshMs = 10_000
const mostKeys = 20_000
const ivBytes = 12
const keyBytes = 32

interface Row {
  readonly id: string
  readonly tenant: string
  readonly subject: string
  readonly master_key: string | null
  readonly wrapped: Uint8Array | null
}

/** The keys of subjects in the store; to open, with those of the last ten seconds in memory. */
export function createStoreKeyring(sql: SqlExecutor, masters: MasterKeys): Keyring {
  const byOwner = createCache<SealingKey>()
  const byId = createCache<SealingKey | 'forgotten'>()

  function opened(row: Row): SealingKey | 'forgotten' {
    if (row.wrapped === null || row.master_key === null) return 'forgotten'
    return { id: row.id, bytes: unwrap(row, masters) }
  }

  async function takeOwners(owners: readonly KeyOwner[]): Promise<void> {
    const proposals = owners.map((owner) => {
      const id = randomUUID()
      return { ...owner, id, wrapped: wrap({ ...owner, id }, randomBytes(keyBytes), masters.current) }
    })
    const { rows } = await sql.query('select * from evt.take_subject_keys($1, $2, $3, $4, $5)', [
      proposals.map(({ tenant }) => tenant),
      proposals.map(({ subject }) => subject),
      proposals.map(({ id }) => id),
      masters.current.id,
      proposals.map(({ wrapped }) => wrapped),
    ])
    for (const row of rows as unknown as Row[]) byOwner.set(nameOf(row), opened(row) as SealingKey)
  }

  async function readIds(ids: readonly string[]): Promise<void> {
    const { rows } = await sql.query(
      'select id, tenant, subject, master_key, wrapped from evt.subject_keys where id = any ($1::uuid[])',
      [ids.filter((id) => uuid.test(id))],
    )
    for (const row of rows as unknown as Row[]) byId.set(row.id, opened(row))
  }

  return {
    // Each time: what a key seals that was deleted in the meantime could never be read.
    loadOwners(owners) {
      const wanted = new Map(owners.map((owner) => [nameOf(owner), owner]))
      return wanted.size === 0 ? undefined : takeOwners([...wanted.values()])
    },
    loadIds(ids) {
      const missing = ids.filter((id) => !byId.has(id))
      return missing.length === 0 ? undefined : readIds(missing)
    },
    keyOf: (owner) => byOwner.get(nameOf(owner)),
    keyOfId: (id) => byId.get(id),
  }
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/
const nameOf = ({ tenant, subject }: KeyOwner) => `${tenant}\0${subject}`

/** `has` says no when a value is old; `get` still has it, for those who looked before. */
function createCache<V>() {
  const known = new Map<string, { readonly value: V; readonly sinceMs: number }>()
  return {
    has(name: string): boolean {
      const one = known.get(name)
      if (one === undefined || performance.now() - one.sinceMs >= freshMs) return false
      // Who asks needs it soon: others go before it.
      known.delete(name)
      known.set(name, one)
      return true
    },
    get: (name: string): V | undefined => known.get(name)?.value,
    set(name: string, value: V): void {
      if (known.size >= mostKeys) for (const first of [...known.keys()].slice(0, mostKeys / 2)) known.delete(first)
      known.delete(name)
      known.set(name, { value, sinceMs: performance.now() })
    },
  }
}

/** Bound to whose it is: a row that was copied to another subject opens nothing. */
const aboutOf = ({ id, tenant, subject }: Pick<Row, 'id' | 'tenant' | 'subject'>) => `${id}\n${tenant}\n${subject}`

const wrap = (row: Pick<Row, 'id' | 'tenant' | 'subject'>, key: Uint8Array, master: SealingKey): Uint8Array =>
  sealBytes(key, master, randomBytes(ivBytes), aboutOf(row))

function unwrap(row: Row, masters: MasterKeys): Uint8Array {
  const master = masters.get(row.master_key as string)
  if (!master) throw unknownMaster(row.master_key as string)
  return unsealBytes(row.wrapped as Uint8Array, master, aboutOf(row))
}

const unknownMaster = (id: string) =>
  new EvtError(
    'config',
    `cannot open the keys of subjects: they were wrapped with master key ${id}, which is not configured`,
    {
      hint: 'EVT_MASTER_KEY or privacy.masterKeyFile must hold it; several keys stand there separated by spaces, the current one first',
    },
  )

/** Throws `config` when keys in the store need a master key that is not there. */
export async function checkMasterKeys(sql: SqlExecutor, masters: MasterKeys): Promise<void> {
  const { rows } = await sql.query(
    'select distinct on (master_key) id, tenant, subject, master_key, wrapped from evt.subject_keys where wrapped is not null',
  )
  for (const row of rows as unknown as Row[]) unwrap(row, masters)
}

export interface Forgotten {
  /** Keys that were deleted: none when the subject has none, or was forgotten before. */
  readonly keys: number
}

/**
 * Deletes the keys of a subject: what they sealed is erased, wherever it is stored. Processes that hold a key notice within ten seconds.
 * Idempotent; audited when it changes something.
 */
export async function forgetSubject(
  store: Store,
  { tenant, subject }: { readonly tenant?: string | undefined; readonly subject: string },
  audit: Audit,
): Promise<Forgotten> {
  return store.transaction(async (sql) => {
    const { rows } = await sql.query(
      `update evt.subject_keys set wrapped = null, master_key = null, forgotten_at = clock_timestamp()
       where subject = $1 and ($2::text is null or tenant = $2) and wrapped is not null returning id`,
      [subject, tenant ?? null],
    )
    await audit(sql, rows.length)
    return { keys: rows.length }
  })
}

/** How many live keys a subject has, in all tenants or in one. */
export async function countKeys(
  sql: SqlExecutor,
  { tenant, subject }: { readonly tenant?: string | undefined; readonly subject: string },
): Promise<number> {
  const { rows } = await sql.query(
    'select count(*)::int as n from evt.subject_keys where subject = $1 and ($2::text is null or tenant = $2) and wrapped is not null',
    [subject, tenant ?? null],
  )
  return Number(rows[0]?.n)
}

/** Live keys by the master key that wraps them. */
export async function countByMaster(sql: SqlExecutor): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql.query(
    'select master_key, count(*)::int as n from evt.subject_keys where wrapped is not null group by master_key order by master_key',
  )
  return new Map(rows.map((row) => [String(row.master_key), Number(row.n)]))
}

const rewrapAtOnce = 500

/** Wraps with the current master key what another one wraps; events are not touched. Resumes where it was ended. Returns how many. */
export async function rewrapKeys(store: Store, masters: MasterKeys, audit: Audit): Promise<number> {
  for (let total = 0; ; ) {
    const done = await store.transaction(async (sql) => {
      const { rows } = await sql.query(
        `select id, tenant, subject, master_key, wrapped from evt.subject_keys
         where wrapped is not null and master_key <> $1 limit $2 for update`,
        [masters.current.id, rewrapAtOnce],
      )
      const wrapped = (rows as unknown as Row[]).map((row) => wrap(row, unwrap(row, masters), masters.current))
      await sql.query(
        `update evt.subject_keys k set master_key = $1, wrapped = w.wrapped
         from unnest($2::uuid[], $3::bytea[]) w (id, wrapped) where k.id = w.id`,
        [masters.current.id, rows.map(({ id }) => id), wrapped],
      )
      await audit(sql, rows.length)
      return rows.length
    })
    if (done === 0) return total
    total += done
  }
}
