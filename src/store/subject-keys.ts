import { randomBytes, randomUUID } from 'node:crypto'
import { EvtError } from '../core/errors.ts'
import type { MasterKeys } from '../core/master-keys.ts'
import type { KeyOwner, Keyring } from '../core/protection.ts'
import { type SealingKey, sealBytes, unsealBytes } from '../core/sealing.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { eraseKeys } from './erase-subject.ts'

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
  /** Whether the store knows the master key; undefined where nobody asked. */
  readonly known?: boolean
}

/** A key, or why there is none: told to whoever asks for this one. */
type Opened = SealingKey | EvtError | 'forgotten'

/** The keys of subjects in the store; to open, with those of the last ten seconds in memory. */
export function createStoreKeyring(sql: SqlExecutor, masters: MasterKeys): Keyring {
  const byOwner = createCache<SealingKey | EvtError>()
  const byId = createCache<Opened>()

  function opened(row: Row): Opened {
    if (row.wrapped === null || row.master_key === null) return 'forgotten'
    try {
      return { id: row.id, bytes: unwrap(row, masters) }
    } catch (error) {
      if (error instanceof EvtError) return error
      throw error
    }
  }

  /** Returns those of which there is none, and none was proposed. */
  async function takeOwners(
    owners: readonly KeyOwner[],
    isProposed: (owner: KeyOwner) => boolean,
  ): Promise<readonly KeyOwner[]> {
    const missing = new Map(owners.map((owner) => [nameOf(owner), owner]))
    const proposals = owners.map((owner) => (isProposed(owner) ? proposalFor(owner, masters) : undefined))
    const { rows } = await sql.query('select * from evt.take_subject_keys($1, $2, $3, $4, $5)', [
      owners.map(({ tenant }) => tenant),
      owners.map(({ subject }) => subject),
      proposals.map((proposal) => proposal?.id ?? null),
      masters.current.id,
      proposals.map((proposal) => proposal?.wrapped ?? null),
    ])
    for (const row of rows as unknown as Row[]) {
      const name = nameOf(row)
      missing.delete(name)
      const before = byOwner.get(name)
      const isSame = before !== undefined && !(before instanceof EvtError) && before.id === row.id
      byOwner.set(name, isSame ? before : (opened(row) as SealingKey | EvtError))
    }
    return [...missing.values()]
  }

  /** Making a key costs more than looking for it: whose key was there a moment ago gets a new one only when that one is gone. */
  async function takeAll(owners: readonly KeyOwner[]): Promise<void> {
    const gone = await takeOwners(owners, (owner) => byOwner.get(nameOf(owner)) === undefined)
    if (gone.length > 0) await takeOwners(gone, () => true)
  }

  async function readIds(ids: readonly string[]): Promise<void> {
    const { rows } = await sql.query(
      `select k.id, k.tenant, k.subject, k.master_key, k.wrapped,
         exists (select from evt.master_keys m where m.id = k.master_key) as known
       from evt.subject_keys k where k.id = any ($1::uuid[])`,
      [ids.filter((id) => uuid.test(id))],
    )
    for (const row of rows as unknown as Row[]) {
      const key = opened(row)
      const isAlien = key instanceof EvtError && key.code === 'config'
      // What another process can read waits for this one to be configured; what nobody can read is no reason to wait.
      if (isAlien && row.known) throw key
      byId.set(row.id, isAlien ? unopened(row, key) : key)
    }
  }

  return {
    // Each time: what a key seals that was deleted in the meantime could never be read.
    loadOwners(owners) {
      const wanted = new Map(owners.map((owner) => [nameOf(owner), owner]))
      return wanted.size === 0 ? undefined : takeAll([...wanted.values()])
    },
    loadIds(ids) {
      const missing = ids.filter((id) => !byId.has(id))
      return missing.length === 0 ? undefined : readIds(missing)
    },
    keyOf: (owner) => keyOrThrow(byOwner.get(nameOf(owner))),
    keyOfId: (id) => keyOrThrow(byId.get(id)),
  }
}

function keyOrThrow<K>(found: K | EvtError): K {
  if (found instanceof EvtError) throw found
  return found
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

function proposalFor(owner: KeyOwner, masters: MasterKeys) {
  const id = randomUUID()
  return { id, wrapped: wrap({ ...owner, id }, randomBytes(keyBytes), masters.current) }
}

/** Throws EvtError('config') without its master key, and 'contract' when that one did not wrap these bytes. */
function unwrap(row: Row, masters: MasterKeys): Uint8Array {
  const master = masters.get(row.master_key as string)
  if (!master) throw unknownMaster(row.master_key as string)
  try {
    return unsealBytes(row.wrapped as Uint8Array, master, aboutOf(row))
  } catch (cause) {
    throw unopened(row, cause)
  }
}

const unopened = ({ id, master_key }: Row, cause: unknown) =>
  new EvtError('contract', `cannot open key ${id} of a subject: no master key ${master_key} wrapped it`, {
    hint: 'nothing that it sealed can be read; evt privacy forget SUBJECT takes it away, and the next event gets a new one',
    cause,
  })

const unknownMaster = (id: string) =>
  new EvtError(
    'config',
    `cannot open the keys of subjects: they were wrapped with master key ${id}, which is not configured`,
    {
      hint: 'EVT_MASTER_KEY or privacy.masterKeyFile must hold it; several keys stand there separated by spaces, the current one first',
    },
  )

/** Each master key that wraps something, by steps over the index: there may be millions of rows. */
const usedText = `with recursive used (id) as (
    select min(master_key) from evt.subject_keys where wrapped is not null
    union all
    select (select min(master_key) from evt.subject_keys where wrapped is not null and master_key > used.id) from used where used.id is not null
  )
  select used.id, exists (select from evt.master_keys m where m.id = used.id) as known from used where used.id is not null`

/**
 * Makes the current master key known to the store: publishers may wrap keys with it. Throws `config` when keys in the store need a known one
 * that is not there. Returns others that wrap something and are neither there nor known: nobody can say whose they are.
 */
export async function checkMasterKeys(sql: SqlExecutor, masters: MasterKeys): Promise<readonly string[]> {
  const { rows } = await sql.query(usedText)
  const unknown: string[] = []
  for (const { id, known } of rows as unknown as readonly { readonly id: string; readonly known: boolean }[]) {
    if (masters.get(id)) continue
    if (known) throw unknownMaster(id)
    unknown.push(id)
  }
  const { rows: there } = await sql.query('select from evt.master_keys where id = $1', [masters.current.id])
  if (there.length === 0)
    await sql.query('insert into evt.master_keys (id) values ($1) on conflict do nothing', [masters.current.id])
  return unknown
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
  return store.transaction(async (sql) => ({ keys: await eraseKeys(sql, { tenant, subject }, audit) }))
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

/**
 * Wraps with the current master key what another one wraps; events are not touched. Resumes where it was ended. Returns how many. What cannot
 * be opened stays as it is: its error is thrown when all others are done.
 */
export async function rewrapKeys(store: Store, masters: MasterKeys, audit: Audit): Promise<number> {
  let failed: EvtError | undefined
  let after = '00000000-0000-0000-0000-000000000000'
  for (let total = 0; ; ) {
    const page = await store.transaction(async (sql) => {
      const { rows } = await sql.query(
        `select id, tenant, subject, master_key, wrapped from evt.subject_keys
         where wrapped is not null and master_key <> $1 and id > $3 order by id limit $2 for update`,
        [masters.current.id, rewrapAtOnce, after],
      )
      const fresh = (rows as unknown as Row[]).map((row) => rewrapped(row, masters))
      const done = fresh.flatMap((one) => (one instanceof EvtError ? [] : [one]))
      await sql.query(
        `update evt.subject_keys k set master_key = $1, wrapped = w.wrapped
         from unnest($2::uuid[], $3::bytea[]) w (id, wrapped) where k.id = w.id`,
        [masters.current.id, done.map(({ id }) => id), done.map(({ wrapped }) => wrapped)],
      )
      await audit(sql, done.length)
      return { done: done.length, last: rows.at(-1)?.id, error: fresh.find((one) => one instanceof EvtError) }
    })
    total += page.done
    failed ??= page.error
    if (page.last !== undefined) after = String(page.last)
    else if (failed) throw failed
    else return total
  }
}

function rewrapped(row: Row, masters: MasterKeys): { readonly id: string; readonly wrapped: Uint8Array } | EvtError {
  try {
    return { id: row.id, wrapped: wrap(row, unwrap(row, masters), masters.current) }
  } catch (error) {
    if (error instanceof EvtError) return error
    throw error
  }
}
