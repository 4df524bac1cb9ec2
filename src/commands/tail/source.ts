import { attributesOf, decodeAny, fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { Instant } from '../../core/instant.ts'
import { formatJson } from '../../core/json-text.ts'
import { redactUrl } from '../../core/mask.ts'
import type { ObservedEvent } from '../../store/observe.ts'
import type { StageReader } from '../../store/observe-stages.ts'
import type { Headers, Received } from '../../transports/transport.ts'
import { requireStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import type { Stages } from './stages.ts'

/** One event on its way to the screen. `event.data` is parsed when it is first looked at. */
export interface Seen {
  /** Of what cannot be decoded: what is known of it, the rest made up. */
  readonly event: EvtEvent
  /** Only of what cannot be decoded: its attributes as they stand. */
  readonly attributes?: Readonly<Record<string, string>>
  /** The JSON of `data` as it was stored; bytes that are no JSON as JSON text. */
  readonly dataText: string
  /** Where it was read: what NDJSON carries as `evt`. */
  readonly evt: {
    readonly transport: string
    readonly topic: string
    readonly position?: string
    /** Why it cannot be decoded. */
    readonly error?: string
    /** With --stages. */
    readonly stages?: Stages
  }
  /** Its row, when it comes from a store. */
  readonly stored?: ObservedEvent
  /** When the source took it, ms since the epoch. */
  readonly recordedMs: number
}

export interface Span {
  readonly from: Instant
  readonly follow: boolean
  readonly signal: AbortSignal
  /** Called once, when nothing that is committed from then on can be missed. */
  readonly onReady: () => void
  /** While following: the source went away, and is asked until it is back. */
  readonly onLost: (error: EvtError) => void
  readonly onBack: () => void
}

export interface TailSource {
  /** For messages: a URL without its password. */
  readonly name: string
  /** How it observes: said when it starts. */
  readonly how: string
  read(span: Span): AsyncIterable<readonly Seen[]>
  /** To be opened before `read`; absent where nobody measures stages. The caller closes it. */
  openStages?(): Promise<StageReader>
  /** What is known of it when nothing comes. */
  explain(): Promise<Quiet>
  close(): Promise<void>
}

/** Facts about a source that shows nothing. */
export interface Quiet {
  readonly facts: string
  /** When its last event was recorded. */
  readonly lastMs?: number
  /** The last ones that are in its log, the oldest first. */
  readonly recent?: readonly Seen[]
}

/** A store's log, or with `?channel=` a NOTIFY channel; other schemes by their transport. Connects. */
export async function openSource(url: string): Promise<TailSource> {
  const isStore = /^postgres(ql)?:/.test(url) && !new URL(url).searchParams.has('channel')
  return isStore ? openStoreSource(url) : openTransportSource(url)
}

/** The sources of `--source`, else the store. */
export async function sourceUrls(given: readonly string[], runtime: Runtime): Promise<readonly string[]> {
  for (const url of given) {
    if (!URL.canParse(url))
      throw new EvtError('usage', `cannot tail ${redactUrl(url)}: it is no URL`, {
        hint: 'such as postgres://host/database?channel=user_events',
      })
  }
  return given.length > 0 ? given : [(await requireStore(runtime)).url]
}

/** Two of them are in memory at once. */
const batch = 500

async function openStoreSource(url: string): Promise<TailSource> {
  const { openStore } = await import('../../store/connection.ts')
  const { observeOutbox } = await import('../../store/observe.ts')
  const { checkSchema } = await import('../../store/migrate.ts')
  const store = await openStore(url, { applicationName: 'evt tail', max: 3 })
  try {
    await checkSchema(store)
    const { rows } = await store.query('select pg_is_in_recovery() as standby')
    return {
      name: store.url,
      how: rows[0]?.standby
        ? 'a standby: only the sequenced log can be seen there; no group, nothing written'
        : 'committed events by snapshots of its own: no bridge needed, no group, nothing written',
      async *read({ onLost, onBack, ...span }) {
        const outage = span.follow ? { onLost, onBack } : {}
        for await (const events of observeOutbox(store, { ...span, ...outage, batch })) yield events.map(seenInStore)
      },
      openStages: async () => (await import('../../store/observe-stages.ts')).openStageReader(store),
      explain: () => explainStore(store),
      close: () => store.close(),
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

async function explainStore(
  store: Awaited<ReturnType<typeof import('../../store/connection.ts').openStore>>,
): Promise<Quiet> {
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

function seenInStore(entry: ObservedEvent): Seen {
  const evt = {
    transport: 'postgres',
    topic: 'log',
    ...(entry.position === undefined ? {} : { position: String(entry.position) }),
  }
  const { headers, dataText, recordedMs } = entry
  const rest = { dataText, recordedMs, stored: entry }
  try {
    return { event: fromHeaders(headers, dataText), evt, ...rest }
  } catch (error) {
    return { ...undecodable({ headers, dataText, recordedMs }, error, evt), ...rest }
  }
}

/** An event that SQL wrote wrongly, or a foreign one, ends nothing. Throws what is about no event. */
function undecodable(
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

async function openTransportSource(url: string): Promise<TailSource> {
  const { openTransport } = await import('../../transports/registry.ts')
  const transport = await openTransport(url)
  const { durable, history } = transport.capabilities
  return {
    name: redactUrl(url),
    how: `${transport.name}: no group, no acknowledgement${history ? '' : '; only what comes from now on'}${durable ? '' : ', at most once'}`,
    async *read({ from, follow, signal, onReady }) {
      onReady()
      const start = typeof from === 'object' && 'position' in from ? { position: String(from.position) } : from
      const selector = { topics: [], patterns: ['*'] }
      for await (const batch of transport.observe(selector, { from: start, follow, signal }))
        yield batch.map((one) => seenOnTransport(one, transport.name))
    },
    explain: async () => ({ facts: history ? 'connected' : 'connected; it keeps no history' }),
    close: () => transport.close(),
  }
}

/** Any JSON is understood: CloudEvents in both modes, the dialects, else as it is with the topic for its type. */
function seenOnTransport(received: Received, transport: string): Seen {
  const recordedMs = received.timeMs ?? 0
  const evt = { transport, topic: received.topic, position: received.at }
  const time = new Date(recordedMs).toISOString()
  const unknown = () => decodeAny(received.body, { topic: received.topic, time, id: received.id }).event
  const shown = (event: EvtEvent) => ({ event, dataText: formatJson(event.data), evt, recordedMs })
  const { headers } = received
  if (headers['ce-specversion'] === undefined) return shown(unknown())
  try {
    return shown(fromHeaders(headers, received.body))
  } catch (error) {
    const dataText = formatJson(unknown().data)
    return { dataText, recordedMs, ...undecodable({ headers, dataText, recordedMs }, error, evt) }
  }
}
