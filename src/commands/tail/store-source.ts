import { attributesOf, fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import type { Store } from '../../store/connection.ts'
import type { ObservedEvent, ObserveFrom } from '../../store/observe.ts'
import type { Headers } from '../../transports/transport.ts'
import type { OpenOptions, Quiet, Seen, TailSource } from './source.ts'

/** Two of them are in memory at once. */
const batch = 500

/** Committed events of a store, by snapshots of its own. Throws `connect`, `migrations`. */
export async function openStoreSource(url: string, { explain }: OpenOptions): Promise<TailSource> {
  const { openStore } = await import('../../store/connection.ts')
  const { observeOutbox } = await import('../../store/observe.ts')
  const { checkSchema } = await import('../../store/migrate.ts')
  const store = await openStore(url, { applicationName: 'evt tail', max: 3 })
  const toSeen = explain ? explained : seenInStore
  try {
    await checkSchema(store)
    const { rows } = await store.query('select pg_is_in_recovery() as standby')
    return {
      name: store.url,
      how: rows[0]?.standby
        ? 'a standby: only the sequenced log can be seen there; no group, nothing written'
        : 'committed events by snapshots of its own: no bridge needed, no group, nothing written',
      seeks: ['start', 'time', 'position'],
      isLive: false,
      isInOrder: true,
      hasTopics: false,
      async *read({ onLost, onBack, ...span }) {
        const outage = span.follow ? { onLost, onBack } : {}
        const from = startOf(span.from, store.url)
        for await (const events of observeOutbox(store, { ...span, from, ...outage, batch })) yield events.map(toSeen)
      },
      openStages: async () => (await import('../../store/observe-stages.ts')).openStageReader(store),
      explain: () => explainStore(store),
      footprint: () => footprintOf(store),
      close: () => store.close(),
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

function startOf(from: Instant, name: string): ObserveFrom {
  if (typeof from === 'string' || 'timeMs' in from) return from
  if (/^\d{1,19}$/.test(from.position)) return { position: BigInt(from.position) }
  throw new EvtError('usage', `cannot tail ${name} since position ${from.position}: positions of the log are numbers`)
}

async function explainStore(store: Store): Promise<Quiet> {
  const { createLogReader } = await import('../../store/log.ts')
  const { readSnapshot } = await import('../../watch/read-snapshot.ts')
  const log = createLogReader(store)
  try {
    const head = await log.head()
    const before = head - BigInt(batch)
    const recent = head > 0n ? await log.read(before > 0n ? before : 0n, batch) : []
    const last = recent.at(-1)
    const { head: tip, instances } = await readSnapshot(store)
    const bridges = instances.filter(({ alive }) => alive).length
    const pending = tip.outboxPending > 0 ? `, ${tip.outboxPending} not sequenced yet` : ''
    const facts = `head ${head}${pending}, ${bridges === 0 ? 'no bridge runs' : `${bridges} bridge${bridges > 1 ? 's' : ''}`}`
    return { facts, recent: recent.map(seenInStore), ...(last ? { lastMs: last.recordedMs } : {}) }
  } finally {
    await log.close()
  }
}

/** Groups, replication slots, prepared transactions and locks of a reader's session. */
async function footprintOf(store: Store): Promise<Readonly<Record<string, string>>> {
  const { rows } = await store.query(
    `select 'group ' || name as fact, lanes || ' lanes' as value from evt.groups
     union all select 'members', count(*)::text from evt.members
     union all select 'slot ' || slot_name, slot_type || coalesce(' ' || plugin, '') from pg_replication_slots
     union all select 'prepared transactions', count(*)::text from pg_prepared_xacts
     union all select 'locks of evt tail', count(*)::text from pg_locks join pg_stat_activity using (pid)
       where application_name like 'evt tail%' and pid <> pg_backend_pid() and mode <> 'AccessShareLock'
         and locktype <> 'virtualxid'`,
  )
  return Object.fromEntries(rows.map(({ fact, value }) => [String(fact), String(value)]))
}

function seenInStore(entry: ObservedEvent): Seen {
  const { headers, dataText, recordedMs } = entry
  const evt = {
    transport: 'postgres',
    topic: 'log',
    ...(entry.position === undefined ? {} : { position: String(entry.position) }),
    recordedAt: new Date(recordedMs).toISOString(),
  }
  const rest = { dataText, recordedMs, stored: entry }
  try {
    return { event: fromHeaders(headers, dataText), evt, ...rest }
  } catch (error) {
    return { ...undecodable({ headers, dataText, recordedMs }, error, evt), ...rest }
  }
}

function explained(entry: ObservedEvent): Seen {
  const seen = seenInStore(entry)
  return { ...seen, evt: { ...seen.evt, dialect: 'cloudevents', because: 'the store has no other' } }
}

/** An event that SQL wrote wrongly, or a foreign one, ends nothing. Throws what is about no event. */
export function undecodable(
  { headers, dataText, recordedMs }: { headers: Headers; dataText: string; recordedMs: number },
  thrown: unknown,
  evt: Seen['evt'],
): Pick<Seen, 'event' | 'attributes' | 'evt'> {
  if (!(thrown instanceof EvtError)) throw thrown
  const attributes = attributesOf(headers)
  const { id = '', type = '', source = '', subject } = attributes
  const made = { version: 1, time: new Date(recordedMs).toISOString(), priority: 'normal', metadata: {} } as const
  const known = { id, type, source, ...(subject === undefined ? {} : { subject }), data: JSON.parse(dataText) }
  return { event: { ...made, ...known }, attributes, evt: { ...evt, error: thrown.message } }
}
