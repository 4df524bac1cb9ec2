import { setTimeout as delay } from 'node:timers/promises'
import { type Decoded, decodeAll } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Inspection, ObserveOptions, Received, Transport } from '../../transports/transport.ts'
import { located } from './located.ts'
import { createOutages, isOutage, watchServer } from './outage-watch.ts'
import type { OpenOptions, Place, Quiet, Seen, Span, TailSource } from './source.ts'
import { hopsOf } from './stages.ts'
import { undecodable } from './store-source.ts'

/** Anything that a transport can observe. Throws `usage` for a URL that names nothing, `connect`. */
export async function openTransportSource(place: Place, options: OpenOptions): Promise<TailSource> {
  const { url } = place
  const { openTransport } = await import('../../transports/registry.ts')
  const name = redactUrl(url)
  const told = new Set<string>()
  const onProblem = (error: Error) => {
    if (told.has(error.message) || told.size >= mostProblems) return
    told.add(error.message)
    options.onProblem(error, name)
  }
  let transport = await openTransport(url, { onProblem })
  const { capabilities, observes } = transport
  const named = place.topicsOf?.(transport) ?? transport.named
  if (named.length === 0) {
    await transport.close()
    throw new EvtError('usage', `cannot tail ${name}: the URL does not say what to read there`, {
      hint: 'such as redis://host/0?stream=user.events, kafka://host/topic, amqp://host/vhost?exchange=events&key=user.%23',
    })
  }
  const { history, seeks } = capabilities
  const absent = history ? await absentOf(transport, named) : ''
  const reconnect = async (failures: number, signal: AbortSignal) => {
    const waitMs = Math.min(retryMs.longest, retryMs.first * 2 ** failures)
    const next = await untilBack(() => openTransport(url, { onProblem }), { waitMs, signal })
    const last = transport
    transport = next
    await last.close().catch(() => {})
  }
  const toSeen = createToSeen(transport.name, options)
  return {
    name,
    how: `${observes}${absent}${history ? '' : '; only what comes from now on'}`,
    seeks,
    isLive: !history,
    // Clocks of producers, partitions and shards: one that is beyond --until says nothing of the next.
    isInOrder: false,
    hasTopics: named.length > 1 || named.some(isGlob),
    read: (span) => readOver(() => transport, { name, span, named, reconnect, toSeen, startedMs: options.now() }),
    explain: () => explainTransport(transport, named, toSeen),
    ...(transport.footprint ? { footprint: async () => (await transport.footprint?.(named)) ?? {} } : {}),
    close: () => transport.close(),
  }
}

/** Which of the topics are not there: whoever mistyped a name would wait for ever. */
async function absentOf(transport: Transport, named: readonly string[]): Promise<string> {
  const asked = transport.inspect(named).catch(() => undefined)
  const found = await Promise.race([asked, delay(absentMs, undefined, { ref: false })])
  const missing = named.filter((name) => !isGlob(name) && !found?.topics.some(({ topic }) => topic === name))
  if (found === undefined || missing.length === 0) return ''
  return `; ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not there yet`
}

/** A large cluster takes its time, and the start line is not worth it. */
const absentMs = 1_000
const isGlob = (name: string): boolean => /[*?[]/.test(name)

/** That are told, each once. */
const mostProblems = 1_000
const retryMs = { first: 100, longest: 2_000 }

/** Asks until it answers; throws what the last answer was when the signal aborts. */
async function untilBack(
  open: () => Promise<Transport>,
  given: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<Transport> {
  const { signal } = given
  for (let { waitMs } = given; ; waitMs = Math.min(2 * waitMs, retryMs.longest)) {
    await delay(waitMs, undefined, { signal }).catch(() => {})
    try {
      return await open()
    } catch (error) {
      if (signal.aborted || !isOutage(error)) throw error
    }
  }
}

interface Reading {
  readonly name: string
  readonly span: Span
  readonly named: readonly string[]
  readonly startedMs: number
  readonly toSeen: (received: Received) => readonly Seen[]
  /** Waits the longer, the more often it has failed in a row. */
  reconnect(failures: number, signal: AbortSignal): Promise<void>
}

/** Goes on over outages while it follows: from the time of the last event where the broker can, and nothing comes twice. */
async function* readOver(transport: () => Transport, reading: Reading): AsyncGenerator<readonly Seen[]> {
  const { span, named, toSeen, startedMs } = reading
  const { follow, signal, onReady } = span
  const outages = createOutages(span)
  const shown = createMemory()
  const topics = { topics: named, patterns: ['*'] }
  let from: ObserveOptions['from'] = span.from
  let known: ReadonlySet<string> | undefined
  let lastMs = performance.now()
  let hasRun = false
  onReady()
  const ask = () => transport().inspect(named)
  if (follow) void watchServer(outages, { name: reading.name, ask, lastMs: () => lastMs, signal })
  for (let failures = 0; !signal.aborted; failures++) {
    const begunMs = performance.now()
    try {
      for await (const batch of transport().observe(topics, { from, follow, signal })) {
        lastMs = performance.now()
        failures = 0
        hasRun = true
        const fresh = known ? batch.filter((one) => !known?.has(placeOf(one))) : batch
        if (follow) shown.add(batch)
        const seen = fresh.flatMap(toSeen)
        if (seen.length > 0) yield seen
      }
      return
    } catch (error) {
      if (signal.aborted) return
      // What is refused at once is no outage: nobody waits for a permission.
      hasRun ||= performance.now() - begunMs > startMs
      if (!follow || !hasRun || !isOutage(error)) throw located(error, reading.name)
      outages.lost(error)
      await reading.reconnect(failures, signal).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown
      })
      known = shown.places()
      if (transport().capabilities.seeks.includes('time')) from = { timeMs: shown.lastMs() ?? startedMs }
      else from = 'now'
    }
  }
}

/** A source that fails within this time, and has shown nothing, has failed at the start. */
const startMs = 2_000
const mostRemembered = 5_000
const placeOf = ({ topic, at }: Received) => `${topic}\n${at}`

/** The last events, so that those of the last moment before an outage are known again. */
function createMemory() {
  const batches: (readonly Received[])[] = []
  let size = 0
  let lastMs: number | undefined
  return {
    add(batch: readonly Received[]) {
      batches.push(batch)
      size += batch.length
      while (size - (batches[0]?.length ?? 0) > mostRemembered) size -= batches.shift()?.length ?? 0
      lastMs = batch.at(-1)?.timeMs ?? lastMs
    },
    lastMs: () => lastMs,
    places(): ReadonlySet<string> {
      return new Set(batches.flat().map(placeOf))
    },
  }
}

/** Any JSON is understood: CloudEvents in every mode, the dialects, else as it is with the topic for its type. */
function createToSeen(transport: string, { explain, now }: OpenOptions): (received: Received) => readonly Seen[] {
  return (received) => {
    const { topic, at, headers, body, id, key, isTombstone } = received
    const recordedMs = received.timeMs ?? now()
    const hops = hopsOf(received)
    const recordedAt = isoOf(recordedMs)
    const context = { topic, id, headers, time: recordedAt }
    const grave = isTombstone ? { tombstone: isTombstone, key } : {}
    return decodeAll(isTombstone ? null : body, context).map((decoded) => {
      const { dialect, because, problem } = decoded
      const evt = { transport, topic, position: at, recordedAt, ...grave, ...(explain ? { dialect, because } : {}) }
      const rest = { recordedMs, ...(hops ? { hops } : {}), dataText: decoded.dataText }
      if (!problem) return { event: decoded.event, evt, ...rest, ...(dialect === 'unknown' ? { isUnknown: true } : {}) }
      return { ...broken(decoded, received, evt), ...rest }
    })
  }
}

/** What CloudEvents headers say of it is shown; of other shapes there is only the event as it is. */
function broken({ event, dataText, problem }: Decoded, { headers, timeMs = 0 }: Received, evt: Seen['evt']) {
  if (headers['ce-specversion'] !== undefined)
    return undecodable({ headers, dataText, recordedMs: timeMs }, problem, evt)
  return { event, evt: { ...evt, error: problem?.message ?? '' } }
}

/** A broker's clock may be anywhere. */
function isoOf(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString()
}

const lookMs = 2_000
const mostLooked = 500

async function explainTransport(
  transport: Transport,
  named: readonly string[],
  toSeen: (received: Received) => readonly Seen[],
): Promise<Quiet> {
  const { capabilities } = transport
  if (!capabilities.history) return { facts: 'connected; it keeps no history' }
  const { topics } = await transport.inspect(named)
  const lastMs = topics.reduce<number | undefined>(
    (latest, { lastTimeMs }) => (lastTimeMs !== undefined && lastTimeMs > (latest ?? 0) ? lastTimeMs : latest),
    undefined,
  )
  const facts = factsOf(topics)
  if (lastMs === undefined) return { facts }
  const last = capabilities.seeks.includes('time') ? await lastOnes(transport, named, lastMs) : []
  return { facts, lastMs, recent: last.flatMap(toSeen) }
}

function factsOf(topics: Inspection['topics']): string {
  if (topics.length === 0) return 'connected; nothing is there yet'
  const all = topics.reduce((sum, { messages }) => sum + messages, 0)
  if (topics.length > 3) return `${topics.length} topics, ${formatCount(all)} messages`
  return topics
    .map(({ topic, head, messages }) => `${topic} head ${head}, ${formatCount(messages)} messages`)
    .join('; ')
}

/** What came at the time of the last event: looked at so that only what is there is promised. */
async function lastOnes(transport: Transport, named: readonly string[], timeMs: number): Promise<readonly Received[]> {
  const found: Received[] = []
  const signal = AbortSignal.timeout(lookMs)
  const topics = { topics: named, patterns: ['*'] }
  for await (const batch of transport.observe(topics, { from: { timeMs }, follow: false, signal })) {
    found.push(...batch)
    if (found.length >= mostLooked) break
  }
  return found.slice(0, mostLooked)
}
